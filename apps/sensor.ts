/** Reads a sensor, tells the mesh, and blinks: the example to start an application from. */
import { mesh, node, pins } from "espalier";

const READ_EVERY_MS = 15000;
const BLINK_MS = 50;

function blink(): void {
  digitalWrite(pins.led, true);
  // A timer rather than a pause: whatever blocks the interpreter keeps it from receiving.
  node.after(BLINK_MS, function () {
    digitalWrite(pins.led, false);
  });
}

mesh.onReceive(function (from, message) {
  console.log(from + " reads " + message);
});

node.onReady(function () {
  node.every(READ_EVERY_MS, function () {
    // Short text: every node of the mesh passes it on.
    mesh.sendBroadcast(analogRead(pins.sensor).toFixed(3));
    blink();
  });
});
