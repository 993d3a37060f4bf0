import { EventEmitter } from "node:events";
import { watchInterrupt, type InterruptHost } from "../../host-tools/ui/interrupt";
import { createRecorder } from "./support";

function createHost(): { host: InterruptHost; emitter: EventEmitter; exits: number[]; stderr: { text: string } } {
  const emitter = new EventEmitter();
  const exits: number[] = [];
  const stderr = createRecorder(true);
  const host: InterruptHost = {
    on: (event, handler) => emitter.on(event, handler),
    removeListener: (event, handler) => emitter.removeListener(event, handler),
    exit: (code) => exits.push(code),
    stderr,
  };
  return { host, emitter, exits, stderr };
}

describe("Ctrl-C", () => {
  it("asks for a clean stop at first", () => {
    const { host, emitter, exits, stderr } = createHost();
    const interrupt = watchInterrupt(host);
    expect(interrupt.signal.aborted).toBe(false);
    emitter.emit("SIGINT");
    expect(interrupt.signal.aborted).toBe(true);
    expect(exits).toEqual([]);
    expect(stderr.text).toContain("again");
  });

  it("ends the process the second time, with the cursor restored", () => {
    const { host, emitter, exits, stderr } = createHost();
    watchInterrupt(host);
    emitter.emit("SIGINT");
    emitter.emit("SIGINT");
    expect(exits).toEqual([130]);
    expect(stderr.text.endsWith("\x1b[?25h")).toBe(true);
  });

  it("gives the signals back", () => {
    const { host, emitter } = createHost();
    watchInterrupt(host).dispose();
    expect(emitter.listenerCount("SIGINT") + emitter.listenerCount("SIGTERM")).toBe(0);
  });
});
