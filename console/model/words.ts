/** Numbers, times and durations as people read them. Pure: the current time is an argument. */
const grouped = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export function count(value: number): string {
  return grouped.format(value);
}

export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** "23:41:07", in the reader's time zone. */
export function timeOfDay(ms: number): string {
  return clock.format(ms);
}

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** The two largest units: "23 h 59 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex(([size]) => whole >= size);
  if (first < 0) return "0 s";
  let rest = whole;
  const said: string[] = [];
  for (const [size, name] of UNITS.slice(first, first + 2)) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) said.push(`${amount} ${name}`);
  }
  return said.join(" ");
}
