/** What the parts of an update share: the node they run on, and where it stands. */
import type { Engine, Region } from "../engine/engine";
import type { Airwave } from "../mesh/airwave";
import type { Mesh } from "../mesh/mesh";
import type { ControlAuth } from "./control-auth";
import type { Trust } from "./trust";

/** What runs here. */
export interface Identity {
  /** What images must be for; usually the name of the mesh. */
  product: string;
  hardware: string;
  role: string;
  version: string;
  /** id of the running image, "" when it was not installed by an update */
  image: string;
  /** `treeHash` of the running bundle, 64 hex digits, "" when it is not known */
  hash: string;
  /** false on a laptop, which serves and passes on, but never installs */
  installs: boolean;
  /** The running image has not confirmed itself yet: the spare slot holds what it may have to go back to. */
  trial: boolean;
}

export type UpdateState =
  "idle" | "preparing" | "receiving" | "relaying" | "decoding" | "verified" | "current" | "failed";

export interface ReceiverStats {
  chunks: number;
  /** Of them, those that came only after they had been asked for again. */
  repaired: number;
  duplicates: number;
  refused: number;
  /** NAKs and requests for an image that is not here */
  stray: number;
}

export interface UpdateNode {
  readonly engine: Engine;
  readonly mesh: Mesh;
  readonly airwave: Airwave;
  readonly stage: Region;
  /** the slot that runs, and the other */
  readonly running: Region;
  readonly spare: Region;
  readonly identity: Identity;
  /** Opens what may command this node. */
  readonly control: Pick<ControlAuth, "seal" | "unseal" | "nonce" | "checks">;
  /** Whose images are taken. */
  readonly trust: Trust;
  readonly stats: ReceiverStats;
  state: UpdateState;
  /** Error code of the last failure, or "". */
  error: string;
  /** Goes over to another state and tells whoever wants to know. */
  enter(state: UpdateState, code?: string): void;
  /** The transfer under way has failed for good. */
  fail(code: string): void;
}
