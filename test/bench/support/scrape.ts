/** Numbers from a Prometheus page: the controllers' and etcd's. */

export class Scrape {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  static async of(url: string): Promise<Scrape> {
    return new Scrape(await (await fetch(url)).text());
  }

  /** Sum over all series of that name whose labels hold every one of these texts. */
  sum(name: string, ...labels: readonly string[]): number {
    let sum = 0;
    for (const line of this.#text.split("\n")) {
      const isName = line.startsWith(`${name} `) || line.startsWith(`${name}{`);
      if (!isName || !labels.every((label) => line.includes(label))) continue;
      sum += Number(line.slice(line.lastIndexOf(" ") + 1));
    }
    return sum;
  }
}
