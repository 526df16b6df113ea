/**
 * A line chart with logarithmic axes as an SVG picture, readable on light and dark pages. Pure;
 * a few dozen lines are less than any chart library's options.
 */

export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
}

const SIZE = { width: 640, height: 360 } as const;
const PLOT = { left: 64, right: 616, top: 44, bottom: 300 } as const;
/** Told apart by people who see colours differently (Okabe and Ito), on white and on black. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
const STYLE = `
  text { font: 12px sans-serif; fill: #24292f; }
  .title { font-size: 14px; font-weight: bold; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .grid { stroke: #3d444d; }
  }`;

export function renderChart(chart: Chart): string {
  const points = chart.series.flatMap((series) => series.points);
  const x = scale(
    points.map((point) => point.x),
    PLOT.left,
    PLOT.right,
  );
  const y = scale(
    points.map((point) => point.y),
    PLOT.bottom,
    PLOT.top,
  );
  const middle = (PLOT.top + PLOT.bottom) / 2;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img">`,
    `<title>${escaped(chart.title)}</title>`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="${PLOT.left}" y="24">${escaped(chart.title)}</text>`,
    ...x.ticks.map((tick) => {
      const at = x.at(tick);
      const line = `<line class="grid" x1="${at}" y1="${PLOT.top}" x2="${at}" y2="${PLOT.bottom}"/>`;
      return `${line}<text x="${at}" y="${PLOT.bottom + 18}" text-anchor="middle">${short(tick)}</text>`;
    }),
    ...y.ticks.map((tick) => {
      const at = y.at(tick);
      const line = `<line class="grid" x1="${PLOT.left}" y1="${at}" x2="${PLOT.right}" y2="${at}"/>`;
      return `${line}<text x="${PLOT.left - 8}" y="${at + 4}" text-anchor="end">${short(tick)}</text>`;
    }),
    `<text x="${PLOT.right}" y="${PLOT.bottom + 36}" text-anchor="end">${escaped(chart.xLabel)}</text>`,
    `<text transform="translate(14 ${middle}) rotate(-90)" text-anchor="middle">${escaped(chart.yLabel)}</text>`,
    ...chart.series.flatMap((series, index) => drawn(series, index, { x, y })),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

function drawn(series: Series, index: number, { x, y }: { x: Scale; y: Scale }): string[] {
  const colour = COLOURS[index % COLOURS.length] ?? "";
  const points = series.points
    .toSorted((a, b) => a.x - b.x)
    .map((point) => ({ x: x.at(point.x), y: y.at(point.y) }));
  const path = points.map((point) => `${point.x},${point.y}`).join(" ");
  const row = PLOT.bottom + 36;
  const left = PLOT.left + index * 150;
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...points.map((point) => `<circle cx="${point.x}" cy="${point.y}" r="3.5" fill="${colour}"/>`),
    `<rect x="${left}" y="${row - 9}" width="12" height="12" fill="${colour}"/>`,
    `<text x="${left + 18}" y="${row + 1}">${escaped(series.name)}</text>`,
  ];
}

/** Whole decades around the values; a logarithm of ten each. */
function scale(values: readonly number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));
  const at = (value: number): number => {
    const share = (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low);
    return Math.round((from + share * (to - from)) * 10) / 10;
  };
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  return { at, ticks };
}

function short(value: number): string {
  if (value >= 1_000_000) return `${value / 1_000_000}M`;
  return value >= 10_000 ? `${value / 1000}k` : String(Number(value.toPrecision(3)));
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
