/** An update gone wrong: restarts as soon as it starts, before it has joined the mesh. */
import { node } from "espalier";

node.onReady(function () {
  node.after(1500, node.engine.restart);
});
