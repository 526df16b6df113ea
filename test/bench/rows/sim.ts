/**
 * Row 13: a day of a fleet in virtual time, at a quarter, half and the whole of the size, so
 * that what grows faster than the fleet shows; and what a fleet of 100,000 would ask of each
 * component, extrapolated from the last two. docs/scaling.md reads it.
 */
import { type DayCounts, FleetDay } from "../support/fleet-day.ts";
import type { Bench, Row } from "../support/row.ts";

const FULL_NODES = 10_000;
const QUICK_NODES = 400;
const FAR_NODES = 100_000;

export const sim: Row = {
  name: "sim",
  what: "a day of a fleet in virtual time, load per component",
  async run(bench: Bench): Promise<void> {
    const { seed } = bench;
    const nodes = bench.nodes?.[0] ?? (bench.quick ? QUICK_NODES : FULL_NODES);
    const sizes = [Math.round(nodes / 4), Math.round(nodes / 2), nodes];
    // Code that is still being compiled would look as if small fleets cost more.
    new FleetDay({ nodes: sizes[0] ?? 1, seed }).run();
    const days = sizes.map((size) => new FleetDay({ nodes: size, seed }).run());
    const [, half = {}, whole = {}] = days;
    for (const [name, value] of Object.entries(whole)) {
      const figure = `sim.${name.replaceAll(" ", "_")}`;
      const exponent = growth(half, whole, name);
      const far = value * (FAR_NODES / nodes) ** exponent;
      const of = { nodes, seed, exponent: Number(exponent.toFixed(2)) };
      bench.report({ figure, value, unit: "a day", of });
      bench.report({
        figure,
        value: far,
        unit: "a day",
        of: { nodes: FAR_NODES, extrapolated: "yes" },
      });
    }
  },
};

/** 1: in step with the fleet, 2: with its square. */
function growth(half: DayCounts, whole: DayCounts, name: string): number {
  const [before = 0, after = 0] = [half[name], whole[name]];
  return before > 0 && after > 0 ? Math.log2(after / before) : 1;
}
