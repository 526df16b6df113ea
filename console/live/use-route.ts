/** The part of the address after #, followed. */
import { useEffect, useState } from "preact/hooks";
import { parseRoute, type Route } from "../model/route.ts";

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = (): void => setHash(location.hash);
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  return parseRoute(hash);
}
