/** What the views read: the cluster and the line to it, drawn at most once a frame. */
import { useEffect, useState } from "preact/hooks";
import type { Cluster } from "../model/cluster.ts";
import { Link, type LinkState } from "./link.ts";

export interface Live {
  readonly link: LinkState;
  /** undefined: nothing was heard yet. */
  readonly cluster: Cluster | undefined;
}

export function useLive(): Live {
  const [live, setLive] = useState<Live>({ link: { kind: "connecting" }, cluster: undefined });
  useEffect(() => {
    let next: Partial<Live> = {};
    let isDrawn = true;
    const change = (part: Partial<Live>): void => {
      next = { ...next, ...part };
      if (!isDrawn) return;
      isDrawn = false;
      requestAnimationFrame(() => {
        const due = next;
        next = {};
        isDrawn = true;
        setLive((before) => ({ ...before, ...due }));
      });
    };
    const link = new Link(location.origin, {
      state: (state) => change({ link: state }),
      cluster: (cluster) => change({ cluster }),
    });
    link.open();
  }, []);
  return live;
}
