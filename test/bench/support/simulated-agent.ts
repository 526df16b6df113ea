/**
 * An agent as the controllers see it: its own connection, Hello with the place it holds,
 * Register, an Ack for everything applied, heartbeats, and a new connection with back-off when
 * the old one ends. Its kernel is faked: what is heard is applied.
 */
import { ControllerChoice, SETTLED_MS } from "../../../agent/rpc/controller-choice.ts";
import { formatDigest } from "../../../common/lease/lease-digest.ts";
import { AgentMessage, ControllerMessage } from "../../../proto/gen/twill/v1/fabric.ts";
import { nowMs } from "./clock.ts";
import { Http2Line, type LineTls } from "./http2-line.ts";
import { advance, NOWHERE, type Place } from "./shared-table.ts";

type Body = NonNullable<AgentMessage["body"]>;

export interface AgentWords {
  readonly node: string;
  readonly publicIp: string;
  readonly tls: LineTls | undefined;
}

/** What the fleet wants to know. */
export interface AgentListener {
  /** The table has reached a revision; the Ack is written. */
  applied(agent: SimulatedAgent): void;
  /** Said once for every stream that ended unasked. */
  lost(agent: SimulatedAgent, reason: string): void;
}

/** How the reason begins when what it heard cannot follow what it holds. */
export const OUT_OF_STEP = "out of step";
const PATH = "/twill.v1.Fabric/Sync";
/** First byte of a ControllerMessage: which of the oneof follows (field << 3 | 2). */
const TAG = { welcome: 0x0a, registered: 0x12, refused: 0x1a, firstTable: 0x22, config: 0x4a };

export class SimulatedAgent {
  readonly words: AgentWords;
  readonly #choice: ControllerChoice;
  readonly #listener: AgentListener;
  #endpoint = "";
  #welcomedMs = 0;
  #line: Http2Line | undefined;
  #place: Place = NOWHERE;
  #streamInstance = "";
  #isOpen = false;
  #mustAck = false;
  #isStopped = false;
  #request = 0;
  #wantsLease = false;
  /** Key of the lease it was given; "": none. */
  lease = "";
  /** When the newest Register was answered. */
  registeredMs = 0;
  snapshots = 0;

  /** `controllers`: "host:port" of each. */
  constructor(words: AgentWords, controllers: readonly string[], listener: AgentListener) {
    this.words = words;
    this.#choice = new ControllerChoice(controllers, Math.random);
    this.#listener = listener;
  }

  get revision(): number {
    return this.#place.revision;
  }

  get leases(): number {
    return this.#place.leases.size;
  }

  /** Welcomed on the present stream, and its table followed since. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Connects, after the wait that a real agent has before the attempt. */
  connect(): void {
    const { endpoint, delayMs } = this.#choice.next();
    setTimeout(() => this.#connect(endpoint), delayMs);
  }

  #connect(endpoint: string): void {
    if (this.#isStopped) return;
    this.#endpoint = endpoint;
    const colon = endpoint.lastIndexOf(":");
    this.#line = new Http2Line({
      host: endpoint.slice(0, colon),
      port: Number(endpoint.slice(colon + 1)),
      path: PATH,
      tls: this.words.tls,
      onOpen: () => this.#hello(),
      onMessage: (message) => this.#hear(message),
      onEnd: (reason) => this.#ended(reason),
    });
  }

  /** Asks for its lease, now and after every reconnection. */
  register(): void {
    this.#wantsLease = true;
    if (this.#isOpen) this.#askForLease();
  }

  heartbeat(): void {
    if (this.#isOpen) this.#send({ $case: "heartbeat", value: {} });
  }

  stop(): void {
    this.#isStopped = true;
    this.#line?.close();
  }

  #send(body: Body): void {
    this.#line?.send(AgentMessage.encode({ body }).finish());
  }

  #hello(): void {
    const { instance, revision, digest } = this.#place;
    const { node } = this.words;
    const held = { instance, revision, digest: instance === "" ? "" : formatDigest(digest) };
    const value = { node, version: "bench", features: [], process: node, ...held };
    this.#send({ $case: "hello", value });
  }

  #hear(message: Buffer): void {
    const tag = message[0] ?? 0;
    try {
      if (tag >= TAG.firstTable && tag < TAG.config) this.#hearTable(tag, message);
      else if (tag !== TAG.config) this.#hearAnswer(message);
    } catch (error) {
      this.#line?.close();
      const why = error instanceof Error ? error.message : String(error);
      this.#listener.lost(this, `${OUT_OF_STEP}: ${why}`);
    }
  }

  #hearTable(tag: number, message: Buffer): void {
    const before = this.#place;
    this.#place = advance(before, message, this.#streamInstance);
    if (tag === TAG.firstTable) this.snapshots += 1;
    if (this.#place.snapshot !== undefined || this.#mustAck) return;
    // One Ack for all that came in one piece.
    this.#mustAck = true;
    queueMicrotask(() => this.#ack());
  }

  #ack(): void {
    this.#mustAck = false;
    const { instance, revision, digest } = this.#place;
    if (!this.#isOpen || instance === "") return;
    const value = { instance, revision, digest: formatDigest(digest), failures: [], applyMs: 1 };
    this.#send({ $case: "ack", value });
    this.#listener.applied(this);
  }

  #hearAnswer(message: Buffer): void {
    const { body } = ControllerMessage.decode(message);
    if (body?.$case === "welcome") {
      this.#streamInstance = body.value.instance;
      this.#isOpen = true;
      this.#welcomedMs = nowMs();
      if (this.#wantsLease) this.#askForLease();
    } else if (body?.$case === "registered" && body.value.request === this.#request) {
      this.lease = body.value.lease?.key ?? "";
      this.registeredMs = nowMs();
    } else if (body?.$case === "refused") {
      const { retryAfterMs, code } = body.value;
      if (retryAfterMs === 0) throw new Error(`refused for good: ${code}`);
      setTimeout(() => this.#isOpen && this.#askForLease(), retryAfterMs);
    }
  }

  #askForLease(): void {
    this.#request += 1;
    const backendData = '{"VNI":1,"VtepMAC":"aa:bb:cc:00:00:01"}';
    const value = {
      ...{ request: this.#request, publicIp: this.words.publicIp, publicIpv6: "" },
      ...{ backendType: "vxlan", backendData, backendV6Data: "", previousSubnet: this.lease },
    };
    this.#send({ $case: "register", value });
  }

  #ended(reason: string): void {
    const aliveMs = this.#isOpen ? nowMs() - this.#welcomedMs : 0;
    this.#isOpen = false;
    // A snapshot that was under way is void.
    if (this.#place.snapshot !== undefined) this.#place = NOWHERE;
    if (this.#isStopped) return;
    this.#listener.lost(this, reason);
    if (aliveMs >= SETTLED_MS) this.#choice.ended(this.#endpoint, aliveMs);
    this.connect();
  }
}
