/** An update gone wrong on some boards: those whose second bit of the id is set restart a minute after each start. */
import { mesh, node } from "espalier";

node.onReady(function () {
  if (mesh.getNodeId() & 2) node.after(60000, node.engine.restart);
});
