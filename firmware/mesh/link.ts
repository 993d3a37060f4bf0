/** One TCP edge of the mesh: cuts the byte stream into frames, and queues what goes out by importance. */
import type { Bytes, Socket, SocketHandler } from "../engine/engine";
import type { Package } from "../wire/packages";

/** Longest frame that is taken in, bytes. */
export const MAX_FRAME = 8192;
/** Bytes of frames that may wait to be handled, on all links together. */
const INBOX_LIMIT = 6144;
/** Bytes handed to the engine before it says that they have left; it should hold less than 4 KB. */
export const WRITE_WINDOW = 2048;

/** Importance of what is sent, as in painlessMesh; lower goes first. */
export const PRIORITY_CRITICAL = 0;
export const PRIORITY_HIGH = 1;
export const PRIORITY_NORMAL = 2;
export const PRIORITY_LOW = 3;
/** Room that node sync, time sync and receipts have beyond the queue limit. */
export const RESERVE = 4096;

/** Counters of a mesh, since start. */
export interface MeshStats {
  /** packages received and sent by this node, passed on for others */
  rx: number;
  tx: number;
  forwarded: number;
  /** bytes of all links, in both directions */
  bytes: number;
  /** packages without a route, or from a peer that has not introduced itself */
  dropped: number;
  /** packages that a full send queue threw away */
  queueDrops: number;
  /** frames over MAX_FRAME, and frames that are no valid package */
  malformed: number;
  /** links refused: loops, duplicate ids, too many */
  refused: number;
}

/** Who takes what a link reports. */
export interface LinkOwner {
  stats: MeshStats;
  /** Bytes of the send queue that applications may fill. */
  queueLimit: number;
  /** Bytes of frames that wait in the inboxes of all links. */
  waiting: number;
  opened(link: Link): void;
  engine: { now(): number };
  /** The inbox of a link is no longer empty. */
  wake(): void;
  /** Handles a frame of a link at once. */
  serve(link: Link, now: number): void;
  /** Called once, whoever closed the connection. */
  closed(link: Link): void;
}

/**
 * ms without a word after which a neighbour that owes an answer counts as gone. TCP repeats what was lost after 1, 3, 7
 * and 15 s: four bursts of loss in a row are survived.
 */
export const PATIENCE = 20000;

const NOBODY = new Uint32Array(0);

export class Link implements SocketHandler {
  socket: Socket | null;
  /** The id of the peer, 0 until its first node sync. */
  id: number;
  /** Ids of what is reachable through the peer, itself first; and the id that carries each flag, 0 for none. */
  tree: Uint32Array;
  root: number;
  authority: number;
  /** JSON of the peer's own fields, and of its subs ("" for none), as tree.ts has them. */
  head: string;
  subs: string;
  /** Grows with each change of any tree: where two trees hold a node, the later one is right. */
  changed: number;
  /** Frames to be handled, each followed by the time of its arrival; and that of the last one taken. */
  readonly inbox: (string | number)[];
  arrived: number;
  /** A node sync that brings something new, and the text of its subs where they were cut out of it unread. */
  told: Package | null;
  cut: string;
  /** A node sync request waits for its answer, a new neighbour for an introduction. */
  owes: boolean;
  greets: boolean;
  /** Times of engine.now(); 0 is never. */
  syncAt: number;
  timeoutAt: number;
  timeAt: number;
  /** Our last time request, -1 when none counts, and how many were fruitless. */
  asked: number;
  retries: number;
  /** ms there and back, at the last answer to a time request; -1 before it. */
  roundTrip: number;
  /** What HELLO said: firmware version, and capability bits, -1 before it (a C++ node never says). */
  version: string;
  abilities: number;
  ended: boolean;
  private readonly owner: LinkOwner;
  /** This node dialled: the peer is its parent. */
  readonly up: boolean;
  private standing: boolean;
  /** Beginning of a frame that is not complete yet; frames over the limit are skipped to their end. */
  private part: Bytes;
  private skipping: boolean;
  /** Frames that wait, most important first, each with its priority digit in front. */
  private queue: string[];
  private queued: number;
  /** Rest of the frame that is being written, and bytes the engine has not sent. */
  private rest: Bytes;
  private flying: number;

  constructor(owner: LinkOwner, socket: Socket | null) {
    this.owner = owner;
    this.socket = socket;
    this.up = !socket;
    this.standing = !!socket;
    this.id = this.arrived = this.root = this.authority = this.changed = this.syncAt = this.timeoutAt = this.timeAt = 0;
    this.queued = this.flying = this.retries = 0;
    this.asked = this.abilities = this.roundTrip = -1;
    this.tree = NOBODY;
    this.told = null;
    this.head = this.subs = this.cut = this.version = this.part = this.rest = "";
    this.owes = this.greets = this.ended = this.skipping = false;
    this.inbox = [];
    this.queue = [];
  }

  open(): void {
    if (this.ended) return;
    this.standing = true;
    this.owner.opened(this);
  }

  data(bytes: Bytes): void {
    const owner = this.owner;
    owner.stats.bytes += bytes.length;
    let start = 0;
    let end = bytes.indexOf("\0");
    while (end >= 0) {
      if (this.ended) return;
      if (this.skipping) this.skipping = false;
      else {
        const text = this.part + bytes.substring(start, end);
        this.part = "";
        if (text.length > MAX_FRAME) owner.stats.malformed++;
        else if (text) this.put(text);
      }
      start = end + 1;
      end = bytes.indexOf("\0", start);
    }
    if (this.ended || this.skipping) return;
    this.part += start ? bytes.substr(start) : bytes;
    if (this.part.length > MAX_FRAME) {
      owner.stats.malformed++;
      this.part = "";
      this.skipping = true;
    }
  }

  /**
   * Keeps a frame until there is time for it: handling one may take a slice of work of its own. When too many wait, they
   * are handled before more is read, which lets TCP hold back the peer.
   */
  private put(text: string): void {
    const owner = this.owner;
    const now = owner.engine.now();
    owner.waiting += text.length;
    if (this.id && this.timeoutAt) this.timeoutAt = now + PATIENCE;
    this.inbox.push(text, now);
    owner.wake();
    while (owner.waiting > INBOX_LIMIT && this.inbox.length) owner.serve(this, now);
  }

  /** Takes the first frame out of the inbox, and sets `arrived`. */
  take(): string {
    const text = this.inbox.shift() as string;
    this.arrived = this.inbox.shift() as number;
    this.owner.waiting -= text.length;
    return text;
  }

  /**
   * Queues a frame; `reserve` is what it may take beyond the owner's limit. A full queue gives up what matters less
   * than this frame, latest first, or else the frame itself. Returns whether the frame was taken.
   */
  push(text: string, priority: number, reserve: number): boolean {
    const queue = this.queue;
    const stats = this.owner.stats;
    const size = text.length + 1;
    let room = this.owner.queueLimit + reserve - this.queued;
    let keep = queue.length;
    while (room < size && keep && queue[keep - 1]!.charCodeAt(0) - 48 > priority) room += queue[--keep]!.length - 1;
    if (this.ended || room < size) {
      stats.queueDrops++;
      return false;
    }
    while (queue.length > keep) {
      this.queued -= (queue.pop() as string).length - 1;
      stats.queueDrops++;
    }
    let at = keep;
    while (at && queue[at - 1]!.charCodeAt(0) - 48 > priority) at--;
    queue.splice(at, 0, priority + text + "\0");
    this.queued += size;
    this.drain(-1);
    return true;
  }

  /** The engine has sent everything; also called, with -1, when there may be something to write. */
  drain(changed?: number): void {
    if (!changed) this.flying = 0;
    while (this.socket && this.standing && !this.ended && this.flying < WRITE_WINDOW) {
      let piece = this.rest;
      if (!piece) {
        const next = this.queue.shift();
        if (!next) return;
        piece = next.substr(1);
        this.queued -= piece.length;
      }
      const room = WRITE_WINDOW - this.flying;
      this.rest = piece.substr(room);
      if (this.rest) piece = piece.substr(0, room);
      this.flying += piece.length;
      this.owner.stats.bytes += piece.length;
      this.socket.write(piece);
    }
  }

  /** The engine reports the end, or (with true) this node wants it. */
  close(wanted?: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.queue = [];
    this.part = this.rest = "";
    while (this.inbox.length) this.take();
    if (wanted && this.socket) this.socket.close();
    this.owner.closed(this);
  }
}
