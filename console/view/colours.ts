/** The style sheet's colours for the canvases: one home for both. */
export interface Colours {
  readonly ink: string;
  readonly muted: string;
  readonly ground: string;
  readonly thread: string;
  readonly weld: string;
  readonly madder: string;
  readonly bare: string;
  readonly ecru: string;
  readonly sans: string;
  readonly mono: string;
}

export function readColours(element: Element): Colours {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: read("ink"),
    muted: read("muted"),
    ground: read("ground"),
    thread: read("thread"),
    weld: read("weld"),
    madder: read("madder"),
    bare: read("bare"),
    ecru: read("ecru"),
    sans: read("sans"),
    mono: read("mono"),
  };
}
