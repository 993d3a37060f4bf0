import * as fs from "node:fs";
import { type BoardConsole, attachConsole } from "../device/console";
import { deviceError } from "../device/faults";
import { portFor } from "../device/serial-port";
import { asImageError, decodeSound, putFile } from "../device/storage-edit";
import { checkStorageName } from "../device/storage-image";
import type { CommandDefinition } from "../command";
import { EspalierError, EXIT } from "../errors";
import { formatTable } from "../ui/table";

interface Entry {
  name: string;
  bytes: number;
}

/** Files of an image, or of a board that is plugged in. */
interface Target {
  list(): Promise<Entry[]>;
  read(name: string): Promise<Buffer | null>;
  write(name: string, data: Buffer): Promise<void>;
  close(): Promise<void>;
}

const READ_PIECE = 1024;

function imageTarget(file: string): Target {
  const content = fs.readFileSync(file);
  const found = decodeSound(content);
  return {
    async list() {
      const plain = found.files.filter((one) => !found.logs.some((log) => one.name.slice(0, -1) === log.name));
      return [...plain, ...found.logs].map(({ name, data }) => ({ name, bytes: data.length }));
    },
    async read(name) {
      return [...found.files, ...found.logs].find((one) => one.name === name)?.data ?? null;
    },
    async write(name, data) {
      fs.writeFileSync(file, putFile(content, name, data));
    },
    async close() {},
  };
}

async function boardTarget(port: string, signal: AbortSignal): Promise<Target> {
  const board: BoardConsole = await attachConsole(portFor(port), { signal });
  const quoted = (name: string): string => `atob("${Buffer.from(name, "latin1").toString("base64")}")`;
  return {
    async list() {
      const expression =
        'function(s){return s.list(undefined,{sf:false}).map(function(n){return[btoa(n),s.read(n).length]})}(require("Storage"))';
      const rows = (await board.evaluate(expression)) as [string, number][];
      return rows.map(([name, bytes]) => ({ name: Buffer.from(name, "base64").toString("latin1"), bytes }));
    },
    async read(name) {
      const size = await board.evaluate(
        `function(d){return d===undefined?-1:d.length}(require("Storage").read(${quoted(name)}))`,
      );
      if (size === -1) return null;
      const parts: Buffer[] = [];
      for (let at = 0; at < Number(size); at += READ_PIECE) {
        signal.throwIfAborted();
        const text = await board.evaluate(`btoa(require("Storage").read(${quoted(name)},${at},${READ_PIECE}))`);
        parts.push(Buffer.from(String(text), "base64"));
      }
      return Buffer.concat(parts);
    },
    async write(name, data) {
      await board.evaluate(`require("Storage").erase(${quoted(name)})`);
      await board.writeFile(name, data);
    },
    close: () => board.close(),
  };
}

function refuseName(name: string): void {
  try {
    checkStorageName(name);
  } catch (error) {
    throw asImageError(error);
  }
}

export const storage: CommandDefinition = {
  examples: [
    { line: "storage ls storage.bin", comment: "files of an image" },
    { line: "storage ls /dev/ttyUSB0", comment: "files of a board that runs Espruino" },
    { line: "storage get /dev/ttyUSB0 cfg > cfg.json", comment: "read a file" },
    { line: "storage put storage.bin notes.txt notes.txt", comment: "add or replace a file" },
  ],

  configure(command) {
    command
      .argument("<action>", "ls, get or put")
      .argument("<target>", "an image of the Storage area, or a port")
      .argument("[name]", "name of the file in Storage")
      .argument("[file]", "get: where to write it, stdout unless given; put: what to read");
  },

  async run(context, _options, args) {
    const [action, where, name, file] = args as [string, string, string?, string?];
    const complete = action === "ls" || (action === "get" && name) || (action === "put" && name && file);
    if (!complete) {
      throw new EspalierError("WRONG_ARGUMENTS", `storage ${action} cannot be done with these arguments`, {
        hint: "storage ls TARGET, storage get TARGET NAME [FILE], storage put TARGET NAME FILE",
        exitCode: EXIT.usage,
      });
    }
    if (action === "put") refuseName(name!);
    const data = action === "put" ? fs.readFileSync(file!) : null;
    if (data?.length === 0) throw deviceError("STORAGE_IMAGE", `${file!} is empty; Espruino cannot store empty files`);
    const isImage = fs.existsSync(where) && fs.statSync(where).isFile();
    const target = isImage ? imageTarget(where) : await boardTarget(where, context.signal);
    try {
      if (action === "ls") {
        const files = await target.list();
        context.report({ files }, () =>
          formatTable(
            [{ title: "name" }, { title: "bytes", align: "right" }],
            files.map((one) => [one.name, one.bytes]),
            context.colors.bold,
          ),
        );
      } else if (action === "get") {
        const content = await target.read(name!);
        if (!content) throw deviceError("NO_SUCH_FILE", `${where} holds no file ${name!}`);
        if (file !== undefined) fs.writeFileSync(file, content);
        if (context.json) context.report({ name, bytes: content.length, base64: content.toString("base64") }, () => "");
        else if (file === undefined) (context.stdout as unknown as NodeJS.WritableStream).write(content);
      } else {
        await target.write(name!, data!);
        context.report({ name, bytes: data!.length }, () => `${name!}: ${data!.length} bytes written`);
      }
    } finally {
      await target.close();
    }
    return EXIT.ok;
  },
};
