/** An update gone wrong: reports itself, then starts over until the loader takes the version before. */
import { node } from "espalier";

node.onReady(function () {
  node.after(20000, node.engine.restart);
});
