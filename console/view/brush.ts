/** What a picture is drawn with: the canvas, where things stand on it, and the page's colours. */
import type { Cloth } from "../model/cloth.ts";
import type { Colours } from "./colours.ts";

export interface Brush {
  readonly context: CanvasRenderingContext2D;
  readonly cloth: Cloth;
  readonly colours: Colours;
}
