/**
 * playwright-core's types name the browser's elements as globals. Types only, and empty: what
 * tests do with a page they do by its locators.
 */
export {};

declare global {
  interface Node {}
  interface HTMLElement {}
  interface SVGElement {}
  interface HTMLElementTagNameMap {}
}
