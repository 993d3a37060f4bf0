/** An update gone wrong: runs well enough to confirm itself, and restarts a minute and a half after each start. */
import { node } from "espalier";

node.onReady(function () {
  node.after(90000, node.engine.restart);
});
