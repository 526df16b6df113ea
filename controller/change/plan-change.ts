/** From what was asked for to its plan: the one switch over changes. Pure. */
import { TwillError } from "../../common/errors.ts";
import type { LeaseTable } from "../view/lease-table.ts";
import type { Basis, ChangeContext, ChangeRequest, Planned } from "./change.ts";
import { planConfig } from "./config-change.ts";
import { planRelease, planReserve } from "./lease-changes.ts";
import { planDrain, planRemove, planUndrain } from "./node-changes.ts";

/** A rollback has become the config that it means before it comes here. */
export function planChange(
  table: LeaseTable,
  request: ChangeRequest,
  context: ChangeContext,
): Planned {
  switch (request.kind) {
    case "reserve":
      return planReserve(table, request, context);
    case "release":
      return planRelease(table, request.what, context);
    case "drain":
      return planDrain(table, request.node, context);
    case "undrain":
      return planUndrain(table, request.node);
    case "remove":
      return planRemove(table, request.node, context);
    case "config":
      return planConfig(table, request.json, context);
    case "config-rollback":
      throw new TwillError("BUG", "a rollback must be looked up before it is planned");
  }
}

export function sameBasis(a: readonly Basis[], b: readonly Basis[]): boolean {
  const text = (basis: readonly Basis[]): string =>
    basis
      .map(({ key, revision }) => `${key} ${revision}`)
      .toSorted()
      .join("\n");
  return text(a) === text(b);
}
