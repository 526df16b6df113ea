/** The rows of the suite, in the order they run. */
import { allocate } from "./rows/allocate.ts";
import type { Row } from "./support/row.ts";

export const ROWS: readonly Row[] = [allocate];
