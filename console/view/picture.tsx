/**
 * A picture of many equal things on a canvas, for eyes, pointers, keys and screen readers: one
 * stop of the Tab key, arrow keys walk, Enter opens. The thing at the cursor is a real option
 * element, so that it is read aloud; a thousand of them would make the page slow.
 */
import type { JSX, TargetedPointerEvent } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Cloth, indexAt, step } from "../model/cloth.ts";
import type { Brush } from "./brush.ts";
import { readColours } from "./colours.ts";

export interface PictureProps {
  readonly label: string;
  readonly count: number;
  readonly clothFor: (width: number) => Cloth;
  readonly draw: (brush: Brush) => void;
  /** One thing in words. */
  readonly describe: (index: number) => string;
  readonly onOpen: (index: number) => void;
  /** undefined: the pointer and the keys have left. */
  readonly onPoint: (index: number | undefined) => void;
}

export function Picture(props: PictureProps): JSX.Element {
  const { label, count, describe, onOpen, onPoint } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const id = useId();
  const width = useWidth(box);
  const [cursor, setCursor] = useState(0);
  const [isFocused, setFocused] = useState(false);
  const cloth = props.clothFor(width);
  const at = Math.min(cursor, Math.max(0, count - 1));
  usePainting(canvas, cloth, props.draw, isFocused && count > 0 ? at : undefined);
  const point = (index: number | undefined): void => {
    if (index !== undefined) setCursor(index);
    onPoint(index);
  };
  const under = (event: TargetedPointerEvent<HTMLElement>): number | undefined => {
    const frame = event.currentTarget.getBoundingClientRect();
    return indexAt(cloth, count, event.clientX - frame.left, event.clientY - frame.top);
  };
  return (
    <div
      ref={box}
      class="picture"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={count > 0 ? `${id}-at` : undefined}
      onFocus={() => {
        setFocused(true);
        if (count > 0) onPoint(at);
      }}
      onBlur={() => {
        setFocused(false);
        onPoint(undefined);
      }}
      onKeyDown={(event) => {
        const to = step(event.key, at, cloth, count);
        if (to !== undefined) point(to);
        else if (event.key === "Enter" && count > 0) onOpen(at);
        else return;
        event.preventDefault();
      }}
      onPointerMove={(event) => point(under(event))}
      onPointerLeave={() => onPoint(undefined)}
      onClick={(event) => {
        const frame = event.currentTarget.getBoundingClientRect();
        const x = event.clientX - frame.left;
        const index = indexAt(cloth, count, x, event.clientY - frame.top);
        if (index !== undefined) onOpen(index);
      }}
    >
      <canvas ref={canvas} />
      {count > 0 && (
        <div
          class="unseen"
          role="option"
          tabIndex={-1}
          id={`${id}-at`}
          aria-selected="true"
          aria-posinset={at + 1}
          aria-setsize={count}
        >
          {describe(at)}
        </div>
      )}
    </div>
  );
}

function useWidth(box: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}

function usePainting(
  canvas: { readonly current: HTMLCanvasElement | null },
  cloth: Cloth,
  draw: PictureProps["draw"],
  cursor: number | undefined,
): void {
  const [theme, setTheme] = useState(0);
  useEffect(() => onThemeChange(() => setTheme((before) => before + 1)), []);
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d") ?? null;
    if (element === null || context === null || cloth.width === 0) return;
    const ratio = window.devicePixelRatio;
    const size = { width: Math.ceil(cloth.width * ratio), height: Math.ceil(cloth.height * ratio) };
    if (element.width !== size.width || element.height !== size.height) {
      Object.assign(element, size);
      element.style.width = `${cloth.width}px`;
      element.style.height = `${cloth.height}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, cloth.width, cloth.height);
    const colours = readColours(element);
    draw({ context, cloth, colours });
    if (cursor !== undefined) drawCursor({ context, cloth, colours }, cursor);
  }, [cloth.width, cloth.height, cloth.columns, draw, cursor, theme]);
}

function drawCursor({ context, cloth, colours }: Brush, index: number): void {
  const { columns, cellWidth, cellHeight } = cloth;
  const x = (index % columns) * cellWidth;
  const y = Math.floor(index / columns) * cellHeight;
  context.lineWidth = 2;
  context.strokeStyle = colours.ink;
  context.beginPath();
  context.roundRect(x + 1, y + 1, cellWidth - 2, cellHeight - 2, 4);
  context.stroke();
}

function onThemeChange(listener: () => void): () => void {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", listener);
  const chosen = new MutationObserver(listener);
  chosen.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    system.removeEventListener("change", listener);
    chosen.disconnect();
  };
}
