/** An update gone wrong: starts timers that never end, each of which costs memory. */
import { node } from "espalier";

const NEVER_MS = 2000000000;

node.onReady(function () {
  node.every(3000, function () {
    node.after(NEVER_MS, function () {});
  });
});
