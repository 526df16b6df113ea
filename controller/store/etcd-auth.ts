/**
 * The user's token: fetched once for everybody who waits, kept until etcd refuses it. (etcd3
 * would authenticate once per waiting call; 50 calls took 4.3 s of bcrypt.) A token is
 * valid at every member, but each member forgets it after 5 idle minutes or a restart.
 */
import { isAuthDisabled } from "./etcd-errors.ts";
import type { EtcdUser } from "./etcd-options.ts";

/** Asks one endpoint for a token; the deadline is inside. */
export type Authenticate = (user: EtcdUser, endpoint: string) => Promise<string>;

export class EtcdAuth {
  readonly #user: EtcdUser | undefined;
  readonly #authenticate: Authenticate;
  #token: string | undefined;
  /** etcd said that it has no authentication. */
  #isOff = false;
  #fetching: Promise<string | undefined> | undefined;

  constructor(user: EtcdUser | undefined, authenticate: Authenticate) {
    this.#user = user;
    this.#authenticate = authenticate;
  }

  /** Calls carry a token that may end. */
  get isEnabled(): boolean {
    return this.#user !== undefined;
  }

  /** undefined: no user is configured, or etcd has authentication disabled. */
  async token(endpoint: string): Promise<string | undefined> {
    if (this.#user === undefined || this.#isOff) return undefined;
    if (this.#token !== undefined) return this.#token;
    this.#fetching ??= this.#fetch(this.#user, endpoint).finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  /** Forgets the token that a call was refused for; a newer one stays. */
  invalidate(refused: string | undefined): void {
    if (this.#token !== refused) return;
    this.#token = undefined;
    this.#isOff = false;
  }

  async #fetch(user: EtcdUser, endpoint: string): Promise<string | undefined> {
    try {
      this.#token = await this.#authenticate(user, endpoint);
      return this.#token;
    } catch (error) {
      // As etcd's own clients: a user given to an etcd without authentication is no fault.
      if (!isAuthDisabled(error)) throw error;
      this.#isOff = true;
      return undefined;
    }
  }
}
