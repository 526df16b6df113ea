/** Backend data of a lease, read as Go reads it: field names in any case. */

/** undefined: not a JSON object. Names are in lower case. */
export function parseFields(text: string): ReadonlyMap<string, unknown> | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
  return new Map(
    Object.entries(parsed).map(([name, value]): [string, unknown] => [name.toLowerCase(), value]),
  );
}
