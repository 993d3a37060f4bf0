import { VECTOR } from "../ota/slh-dsa-vector";
import { flashWithParts, START } from "./ota-parts";
import { describeEngine, runScript } from "./support";

const CALL = 'verify(atob("KEY"),S("message"),S("signature"),';

describeEngine("signature on the interpreter", () => {
  const { publicKey, message, signature } = VECTOR;
  const call = CALL.replace("KEY", publicKey.toString("base64"));

  it("accepts the published signature of RFC 9909 in slices and little memory", async () => {
    const flash = await flashWithParts({ message, signature });
    const { stdout } = runScript(`${START}print(JSON.stringify(${call}true)));`, { flash, timeoutMs: 60_000 });
    const [peak, steps, result] = JSON.parse(stdout) as [number, number, number];
    expect(result).toBe(1);
    expect(steps).toBeGreaterThan(90);
    expect(peak).toBeGreaterThan(50);
    expect(peak).toBeLessThan(400);
  }, 120_000);

  it("refuses a flipped bit", async () => {
    for (const at of [0, 5000]) {
      const changed = Buffer.from(signature);
      changed[at]! ^= 4;
      const flash = await flashWithParts({ message, signature: changed });
      const { stdout } = runScript(`${START}print(${call}false)[2]);`, { flash, timeoutMs: 60_000 });
      expect(stdout).toBe("-2\n");
    }
  }, 120_000);
});
