/**
 * Where each thing of a picture stands: rows of equal cells, as many in a row as fit. The fewer
 * there are, the larger they are, up to a size that has room for a name. Pure.
 */
export interface Cloth {
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  /** Room for names. */
  readonly isLabelled: boolean;
  readonly width: number;
  readonly height: number;
}

/** More than this are drawn without names. */
const MOST_LABELLED = 36;
const LABELLED = { width: 176, height: 52 } as const;
/** What a cloth without names covers, about; and the smallest and largest stitch. */
const AREA_HEIGHT = 380;
const STITCH = { min: 9, max: 30 } as const;

export function clothFor(count: number, width: number): Cloth {
  if (count <= MOST_LABELLED) {
    const columns = Math.max(1, Math.min(Math.floor(width / LABELLED.width), Math.max(count, 1)));
    const cellWidth = Math.min(Math.floor(width / columns), 240);
    return clothOf(count, columns, { width: cellWidth, height: LABELLED.height }, true);
  }
  const side = Math.floor(Math.sqrt((width * AREA_HEIGHT) / count));
  const size = Math.min(STITCH.max, Math.max(STITCH.min, side));
  const columns = Math.max(1, Math.floor(width / size));
  return clothOf(count, columns, { width: size, height: size }, false);
}

/** Cells in rows of `columns`, for pictures whose row has a meaning. */
export function clothOf(
  count: number,
  columns: number,
  cell: { readonly width: number; readonly height: number },
  isLabelled = false,
): Cloth {
  const rows = Math.max(1, Math.ceil(count / columns));
  return {
    columns,
    rows,
    cellWidth: cell.width,
    cellHeight: cell.height,
    isLabelled,
    width: columns * cell.width,
    height: rows * cell.height,
  };
}

/** undefined: there is none at this point. */
export function indexAt(cloth: Cloth, count: number, x: number, y: number): number | undefined {
  const column = Math.floor(x / cloth.cellWidth);
  const row = Math.floor(y / cloth.cellHeight);
  if (column < 0 || row < 0 || column >= cloth.columns) return undefined;
  const index = row * cloth.columns + column;
  return index < count ? index : undefined;
}

const STEPS: Readonly<Record<string, (cloth: Cloth) => number>> = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: ({ columns }) => -columns,
  ArrowDown: ({ columns }) => columns,
  PageUp: ({ columns }) => -5 * columns,
  PageDown: ({ columns }) => 5 * columns,
  Home: () => Number.NEGATIVE_INFINITY,
  End: () => Number.POSITIVE_INFINITY,
};

/** Where a key leads from here; undefined: the key is none of the picture's. */
export function step(key: string, from: number, cloth: Cloth, count: number): number | undefined {
  const distance = STEPS[key]?.(cloth);
  if (distance === undefined || count === 0) return undefined;
  const to = from + distance;
  const isWithin = (to >= 0 && to < count) || Math.abs(distance) > 1;
  return isWithin ? Math.min(count - 1, Math.max(0, to)) : from;
}
