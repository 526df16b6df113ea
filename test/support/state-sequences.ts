/**
 * Sequences of states and the other orders in which the same end can be reached. A table or
 * planner whose result depends on the state alone ends alike on every one of them.
 */

import { shuffled } from "./seeded-random.ts";

/** What is true after a step, by key; the last state is where every expansion must end. */
export type State<Value> = ReadonlyMap<string, Value>;

export interface Step<Value> {
  readonly upserts: readonly (readonly [string, Value])[];
  readonly removes: readonly string[];
}

export interface Expansion<Value> {
  readonly name: string;
  readonly steps: readonly Step<Value>[];
}

/** The changes that lead from one state to the next, starting from nothing. */
export function stepsOf<Value>(states: readonly State<Value>[]): Step<Value>[] {
  return states.map((state, index) => step(states[index - 1] ?? new Map<string, Value>(), state));
}

/**
 * Ways to the last state: as given; squashed into one step; split into steps of one change;
 * split and shuffled within each state; backwards through the states and then to the end;
 * and with the end reached twice. `random` is uniform in [0, 1).
 */
export function expansions<Value>(
  states: readonly State<Value>[],
  random: () => number,
): readonly Expansion<Value>[] {
  const last = states.at(-1) ?? new Map<string, Value>();
  const plain = stepsOf(states);
  return [
    { name: "as given", steps: plain },
    { name: "squashed", steps: stepsOf([last]) },
    { name: "split", steps: plain.flatMap(split) },
    { name: "shuffled", steps: plain.flatMap((one) => shuffled(split(one), random)) },
    { name: "reversed", steps: stepsOf([...states].reverse().concat([last])) },
    { name: "emptied between", steps: stepsOf([...states, new Map<string, Value>(), last]) },
  ];
}

function step<Value>(from: State<Value>, to: State<Value>): Step<Value> {
  return {
    upserts: [...to].filter(([key, value]) => from.get(key) !== value),
    removes: [...from.keys()].filter((key) => !to.has(key)),
  };
}

function split<Value>({ upserts, removes }: Step<Value>): Step<Value>[] {
  return [
    ...upserts.map((upsert) => ({ upserts: [upsert], removes: [] })),
    ...removes.map((key) => ({ upserts: [], removes: [key] })),
  ];
}
