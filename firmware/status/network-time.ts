/** Unix time from a server of the network (SNTP, RFC 4330), which leaves the board's own clock as it is. */
import type { Engine } from "../engine/engine";

/** Of the server; answers come to the port below. */
const PORT = 123;
const OWN_PORT = 12123;
/** Seconds from 1900, where the protocol counts from, to 1970. */
const SINCE_1900 = 2208988800;
const ASK_AGAIN_MS = 3600000;
const RETRY_MS = 30000;
const ANSWER_MS = 5000;

/**
 * Seconds, 0 until the server has answered.
 *
 * @param host address of the server, "" for none: then the time stays 0
 */
export function networkTime(engine: Engine, host: string, port?: number): () => number {
  let offset = 0;

  function ask(): void {
    "cold";
    let open = true;
    const asked = engine.now();
    const socket = engine.openDatagrams(OWN_PORT, function (bytes, address) {
      // Mode 4 is a server's; transmit time since 1900 stands at 40, whole seconds first.
      if (!open || address !== host || bytes.length < 48 || (bytes.charCodeAt(0) & 7) !== 4) return;
      let seconds = 0;
      for (let i = 40; i < 44; i++) seconds = seconds * 256 + bytes.charCodeAt(i);
      if (seconds > SINCE_1900) offset = seconds - SINCE_1900 - (asked + engine.now()) / 2000;
    });
    // Version 4, mode 3: a client's.
    let question = "\x23";
    while (question.length < 48) question += "\0";
    socket.send(question, host, port || PORT);
    engine.after(ANSWER_MS, function () {
      open = false;
      socket.close();
      engine.after(offset ? ASK_AGAIN_MS : RETRY_MS, ask);
    });
  }

  if (host) ask();
  return function () {
    return offset ? Math.floor(offset + engine.now() / 1000) : 0;
  };
}
