/** What twillctl's exit codes mean; scripts stand on them. docs/cli.md shows this table. */

export const EXIT_CODES = {
  done: { code: 0, meaning: "done; for checks: nothing is wrong" },
  failed: { code: 1, meaning: "failed, for example no controller answers; stderr says why" },
  usage: { code: 2, meaning: "wrong usage, configuration or certificate file" },
  found: {
    code: 3,
    meaning:
      "the answer is bad news: `status` unhealthy, `ipam check` found faults, `explain` a broken path",
  },
  late: { code: 4, meaning: "`wait`: not so within --timeout" },
  bug: { code: 70, meaning: "a bug in twillctl; please report it" },
} as const satisfies Record<string, { readonly code: number; readonly meaning: string }>;
