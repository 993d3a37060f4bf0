import * as fs from "node:fs";
import * as path from "node:path";
import { type Bytes, PAGE, type Region } from "../../firmware/engine/engine";
import { EspalierError, EXIT } from "../errors";

/** A region and the file behind it. */
export interface FileRegion {
  region: Region;
  close(): void;
}

/**
 * A flash region in the file `<directory>/<name>.bin`, made as erased flash if it is not there. Flash rules hold: writing
 * clears bits (old AND new), erasing sets a page to 0xFF. Every write is in the file when the call returns.
 * @throws EspalierError REGION_SIZE when the file's size is not `pages` pages.
 */
export function openFileRegion(directory: string, name: string, pages: number): FileRegion {
  const file = path.join(directory, `${name}.bin`);
  const size = pages * PAGE;
  fs.mkdirSync(directory, { recursive: true });
  if (!fs.existsSync(file)) fs.writeFileSync(file, Buffer.alloc(size, 0xff));
  const content = fs.readFileSync(file);
  if (content.length !== size) {
    throw new EspalierError("REGION_SIZE", `${file} has ${content.length} bytes, expected ${size}`, {
      hint: "It was made for another flash layout; move it away to start with an empty one.",
      exitCode: EXIT.usage,
    });
  }
  const descriptor = fs.openSync(file, "r+");

  function check(offset: number, length: number): void {
    if (offset < 0 || length < 0 || offset + length > size) {
      throw new RangeError(`${name}: ${length} bytes at ${offset} lie outside of ${size}`);
    }
  }

  return {
    region: {
      size,
      read(offset, length): Bytes {
        check(offset, length);
        return content.toString("latin1", offset, offset + length);
      },
      write(offset, bytes) {
        check(offset, bytes.length);
        for (let i = 0; i < bytes.length; i++) {
          content[offset + i] = (content[offset + i] ?? 0) & bytes.charCodeAt(i);
        }
        fs.writeSync(descriptor, content, offset, bytes.length, offset);
      },
      erase(offset) {
        check(offset, 1);
        const start = offset - (offset % PAGE);
        content.fill(0xff, start, start + PAGE);
        fs.writeSync(descriptor, content, start, PAGE, start);
      },
    },
    close: () => fs.closeSync(descriptor),
  };
}
