import { MARK, SLOT_BAD, SLOT_CONFIRMED } from "../../firmware/ota/layout";
import { PACKAGE_ROLLBACK } from "../../firmware/ota/session";
import { fillSlot } from "../../host-tools/build/image";
import { emptyFlash, imageOf, sampleCode, standing } from "./support/update-mesh";

const OLD = imageOf(sampleCode(8000), "raw", { version: "1.0.0" });
const NEW = imageOf(sampleCode(9000), "raw");

/** A node that runs the new image, with the old one in its other slot; asked to go back. */
function asked(spoil: (spare: ReturnType<typeof emptyFlash>["spare"]) => void, fields: object = {}) {
  const flash = emptyFlash();
  fillSlot(flash.running, NEW, sampleCode(9000), 2);
  fillSlot(flash.spare, OLD, sampleCode(8000), 1);
  flash.running.write(SLOT_CONFIRMED, MARK);
  flash.spare.write(SLOT_CONFIRMED, MARK);
  spoil(flash.spare);
  const { world, origin, nodes } = standing(2, "star", { 2: { flash, image: NEW.id, version: "2.0.0" } });
  origin.mesh.sendPackage({ type: PACKAGE_ROLLBACK, routing: 2, dest: 0, from: 1, id: NEW.id, only: [2], ...fields });
  world.run(5000);
  const node = nodes[0]!;
  return { bad: flash.running.data[SLOT_BAD] === 0, restarts: node.restarts, error: node.receiver.error() };
}

const nothing = (): void => {};

test("a node goes back to the image in its other slot: the running one is marked bad, and it restarts", () => {
  expect(asked(nothing)).toEqual({ bad: true, restarts: 1, error: "" });
});

test("it stays where it is when the other slot holds nothing good, and says so", () => {
  const stays = { bad: false, restarts: 0, error: "no-rollback" };
  expect(asked((spare) => spare.write(SLOT_BAD, MARK))).toEqual(stays);
  expect(asked((spare) => spare.erase(0))).toEqual(stays);
});

test.each<[string, object]>([
  ["others", { only: [3, 4] }],
  ["who runs another image", { id: OLD.id }],
  ["a list that is none", { only: "2" }],
])("a word to %s is not for it", (_whom, fields) => {
  expect(asked(nothing, fields)).toEqual({ bad: false, restarts: 0, error: "" });
});
