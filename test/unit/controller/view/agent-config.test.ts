/** Agents are told the config in force, and the other one while the backend changes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentConfig } from "../../../../controller/view/agent-config.ts";
import { LeaseView } from "../../../../controller/view/lease-view.ts";
import { encodeRollout } from "../../../../controller/view/rollout.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { StoreHistory } from "../../../support/store-history.ts";

const FROM = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const TO = '{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}';
const STATE = { id: "1", by: "operator/alice", from: FROM, to: TO, deadline: "", reason: "" };

function told(config: string, rollout: string | undefined) {
  const history = new StoreHistory();
  history.put("config", config, "0");
  if (rollout !== undefined) history.put("twill/rollout", rollout, "0");
  const view = new LeaseView(new LogCapture());
  view.load(history.listing(), "x");
  return agentConfig(view);
}

describe("the config for agents", () => {
  it("is alone while the backend stays", () => {
    assert.deepEqual(told(FROM, undefined), { revision: 2, json: FROM, transition: undefined });
  });

  it("comes with the other one in either phase, and with the step's name", () => {
    const prepare = told(FROM, encodeRollout({ ...STATE, phase: "prepare" }));
    assert.deepEqual(prepare?.transition, { alsoJson: TO, mark: "1 prepare" });
    const switched = told(TO, encodeRollout({ ...STATE, phase: "switch" }));
    assert.deepEqual(switched?.transition, { alsoJson: FROM, mark: "1 switch" });
  });

  it("is alone when an operator has put a third one, or the rollout cannot be read", () => {
    const third = FROM.replace("/16", "/15");
    const rollout = encodeRollout({ ...STATE, phase: "prepare" });
    assert.equal(told(third, rollout)?.transition, undefined);
    assert.equal(told(FROM, "{}")?.transition, undefined);
  });

  it("is told when only the rollout begins or ends", () => {
    const history = new StoreHistory();
    history.put("config", FROM, "0");
    const view = new LeaseView(new LogCapture());
    view.load(history.listing(), "x");
    const heard: (string | undefined)[] = [];
    view.onChange(({ change }) => {
      if (change.configChanged) heard.push(agentConfig(view)?.transition?.mark);
    });
    view.apply(history.put("twill/rollout", encodeRollout({ ...STATE, phase: "prepare" }), "0"));
    view.apply(history.delete("twill/rollout"));
    assert.deepEqual(heard, ["1 prepare", undefined]);
  });
});
