/** What a row of the suite is: a name to ask for it by, and a run that reports figures. */

/** One measured number, one JSON line. */
export interface Figure {
  /** "fanout.all_acknowledged" */
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  /** What it depends on: how many nodes, which transport. */
  readonly of?: Readonly<Record<string, number | string>>;
  /** In the words; `isMet` undefined: nothing to reach. */
  readonly target?: string;
  readonly isMet?: boolean;
}

export interface RunOptions {
  /** Small, for correctness only. */
  readonly quick: boolean;
  /** Another command as the system under test, where a row can use one. */
  readonly system: string | undefined;
  readonly nodes: readonly number[] | undefined;
  readonly seed: number;
  /** Folder for CPU profiles of the controllers. */
  readonly profile: string | undefined;
}

export interface Bench extends RunOptions {
  readonly report: (figure: Figure) => void;
  /** For people, beside the figures. */
  readonly note: (text: string) => void;
}

export interface Row {
  readonly name: string;
  readonly what: string;
  /** It makes network namespaces. */
  readonly needsRoot?: boolean;
  run(bench: Bench): Promise<void>;
}

/** The run proves nothing: agents were lost, a log has errors, an answer is wrong. */
export class InvalidRun extends Error {
  override readonly name = "InvalidRun";
}

export function mustBe(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new InvalidRun(otherwise);
}

/** A figure with a ceiling. */
export function below(
  limit: number,
  value: number,
  unit: string,
): Pick<Figure, "target" | "isMet"> {
  return { target: `< ${limit} ${unit}`, isMet: value < limit };
}

/** A figure with a floor. */
export function above(
  limit: number,
  value: number,
  unit: string,
): Pick<Figure, "target" | "isMet"> {
  return { target: `> ${limit} ${unit}`, isMet: value > limit };
}
