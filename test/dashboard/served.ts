/** `espalier dashboard` as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import * as path from "node:path";
import { ask, until } from "./api-suite";

const ROOT = path.resolve(__dirname, "../..");

export const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 200));

export interface Served {
  /** Address with the token. */
  url: string;
  child: ChildProcess;
  get<T>(what: string): Promise<T>;
  post(what: string, body?: object): Promise<number>;
}

/** Starts it; whoever does ends it. */
export async function serve(args: string[]): Promise<Served> {
  const child = spawn(process.execPath, ["bin/espalier.js", "dashboard", ...args, "--port", "0"], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout!.on("data", (data: Buffer) => (text += data.toString()));
  await until("the address", () => /#token=\S+/.test(text), 60);
  const [, api, token] = /(http:\S+)\/#token=(\S+)/.exec(text)!;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return {
    url: `${api}/#token=${token}`,
    child,
    get: async <T>(what: string) => (await ask(`${api}/api/v1/${what}`)).json() as T,
    post: async (what, body = {}) =>
      (await ask(`${api}/api/v1/${what}`, { method: "POST", body: JSON.stringify(body), headers })).status,
  };
}
