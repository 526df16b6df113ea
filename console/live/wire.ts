/**
 * The seam to the controller: its JSON is what the shared types say, because controller and page
 * are of one build. Nothing else on the page makes values of a type by saying so.
 */
import type { ConsolePath } from "../../common/console/console-path.ts";
import type {
  ConsoleDelta,
  ConsoleEnd,
  ConsoleSnapshot,
} from "../../common/console/console-state.ts";

export function readSnapshot(json: unknown): ConsoleSnapshot {
  return JSON.parse(String(json)) as ConsoleSnapshot;
}

export function readDelta(json: unknown): ConsoleDelta {
  return JSON.parse(String(json)) as ConsoleDelta;
}

export function readPath(json: string): ConsolePath {
  return JSON.parse(json) as ConsolePath;
}

export function readEnds(json: string): readonly ConsoleEnd[] {
  return JSON.parse(json) as readonly ConsoleEnd[];
}
