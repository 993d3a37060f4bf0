/** NOR flash: erasing sets a page to 0xFF, writing only clears bits, and power may fail in the middle of either. */

/** Power failed during a flash operation; what is in flash is what got done. */
export class PowerCut extends Error {}

/** Everything a flash holds, for putting it back later. */
export interface FlashSnapshot {
  readonly bytes: Buffer;
  readonly writes: Uint32Array;
  readonly erases: Uint32Array;
}

export class NorFlash {
  readonly bytes: Buffer;
  /** Write operations that touched each page, and erasures of it. */
  readonly writes: Uint32Array;
  readonly erases: Uint32Array;
  /** Primitive operations (writes and erasures) since the beginning. */
  operations = 0;
  /** Called when power fails, before PowerCut is thrown. */
  onCut: (() => void) | null = null;
  private cutAfter = 0;
  private tear = 0;

  /** A flash with these contents (copied), or an erased one of so many bytes. */
  constructor(
    contents: Uint8Array | number,
    readonly pageBytes = 4096,
  ) {
    this.bytes = typeof contents === "number" ? Buffer.alloc(contents, 0xff) : Buffer.from(contents);
    if (!this.bytes.length || this.bytes.length % pageBytes) throw new RangeError("flash is made of whole pages");
    const pages = this.bytes.length / pageBytes;
    this.writes = new Uint32Array(pages);
    this.erases = new Uint32Array(pages);
  }

  /** A view, not a copy. */
  read(offset: number, length: number): Buffer {
    this.check(offset, length);
    return this.bytes.subarray(offset, offset + length);
  }

  /** Clears the bits that are 0 in `data`. Throws PowerCut when power fails in it. */
  write(offset: number, data: Uint8Array): void {
    this.check(offset, data.length);
    if (!data.length) return;
    const { bytes, pageBytes } = this;
    const last = Math.floor((offset + data.length - 1) / pageBytes);
    for (let page = Math.floor(offset / pageBytes); page <= last; page++) this.writes[page]!++;
    const cut = this.countOperation();
    const done = cut ? Math.floor(data.length * this.tear) : data.length;
    for (let i = 0; i < done; i++) bytes[offset + i]! &= data[i]!;
    if (!cut) return;
    if (done < data.length) bytes[offset + done]! &= data[done]! | this.tornBits();
    throw new PowerCut("power failed in a flash write");
  }

  /** Erases the page that contains `offset`. Throws PowerCut when power fails in it. */
  erasePage(offset: number): void {
    this.check(offset, 1);
    const page = Math.floor(offset / this.pageBytes);
    const start = page * this.pageBytes;
    this.erases[page]!++;
    const cut = this.countOperation();
    const done = cut ? Math.floor(this.pageBytes * this.tear) : this.pageBytes;
    this.bytes.fill(0xff, start, start + done);
    if (!cut) return;
    if (done < this.pageBytes) this.bytes[start + done]! |= this.tornBits();
    throw new PowerCut("power failed in a flash erase");
  }

  /**
   * The `n`-th operation from now (1: the next) is torn: only a part (`tear`, 0..1, of its bytes, and some bits of one
   * more) happens, and it throws PowerCut. 0 takes the order back.
   */
  cutPowerAt(n: number, tear = 0.5): void {
    if (!(n >= 0) || !(tear >= 0 && tear <= 1)) throw new RangeError("n >= 0, tear 0..1");
    this.cutAfter = n;
    this.tear = tear;
  }

  snapshot(): FlashSnapshot {
    return { bytes: Buffer.from(this.bytes), writes: this.writes.slice(), erases: this.erases.slice() };
  }

  restore(snapshot: FlashSnapshot): void {
    snapshot.bytes.copy(this.bytes);
    this.writes.set(snapshot.writes);
    this.erases.set(snapshot.erases);
    this.cutAfter = 0;
  }

  private countOperation(): boolean {
    this.operations++;
    const cut = this.cutAfter > 0 && --this.cutAfter === 0;
    if (cut) this.onCut?.();
    return cut;
  }

  /** Which bits of the byte in work keep their old state; differs with the tear so that tests see several. */
  private tornBits(): number {
    return [0x0f, 0xf0, 0x55, 0xaa, 0x7f, 0xfe][Math.floor(this.tear * 97) % 6]!;
  }

  private check(offset: number, length: number): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.bytes.length))
      throw new RangeError(`flash has no bytes ${offset}..${offset + length}`);
  }
}
