/** Where in the page the reader is, as the part of the address after #. Pure. */
export type Route =
  | { readonly kind: "overview" }
  | { readonly kind: "node"; readonly node: string };

export function parseRoute(hash: string): Route {
  const match = /^#\/node\/([^/]+)$/.exec(hash);
  if (match?.[1] === undefined) return { kind: "overview" };
  try {
    return { kind: "node", node: decodeURIComponent(match[1]) };
  } catch {
    return { kind: "overview" };
  }
}

export function nodeHref(node: string): string {
  return `#/node/${encodeURIComponent(node)}`;
}
