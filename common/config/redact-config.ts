/** The network config without its secrets, for whoever may look but not know them. */
import { isJsonObject } from "./json-fields.ts";

/** Keys of Backend whose values are secret, in lower case (flannel's keys are case-insensitive). */
const SECRET_KEYS: ReadonlySet<string> = new Set(["psk"]);

/** The same JSON with empty secrets; the text itself when there are none. Text must be valid JSON. */
export function redactConfig(json: string): string {
  const config: unknown = JSON.parse(json);
  if (!isJsonObject(config)) return json;
  let isChanged = false;
  const entries = Object.entries(config).map(([name, value]): [string, unknown] => {
    if (name.toLowerCase() !== "backend" || !isJsonObject(value)) return [name, value];
    const fields = Object.entries(value).map(([key, field]): [string, unknown] => {
      if (!SECRET_KEYS.has(key.toLowerCase()) || field === "") return [key, field];
      isChanged = true;
      return [key, ""];
    });
    return [name, Object.fromEntries(fields)];
  });
  return isChanged ? JSON.stringify(Object.fromEntries(entries)) : json;
}
