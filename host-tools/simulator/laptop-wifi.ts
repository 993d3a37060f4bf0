/** The WiFi card of a virtual laptop: a station that chooses its network, no access point. */
import type { Wifi } from "../../firmware/engine/engine";
import type { ScheduledEvent } from "./events";
import { MODE_STATION, type Heard, type WifiEvent } from "./net/wifi-types";
import type { WorldNode } from "./world-node";

const CONNECT_TIMEOUT_MS = 20_000;
const TRIES = 3;

/** `node` must be powered up. */
export function createLaptopWifi(node: WorldNode): Wifi {
  const { driver, stack } = node;
  const { events } = node.world;
  let scanned: ((found: Heard[]) => void) | null = null;
  let joined: ((error: string | null) => void) | null = null;
  let limit: ScheduledEvent | null = null;
  let lost: () => void = () => {};
  let standing = false;
  let tries = 0;

  driver.setMode(MODE_STATION);
  driver.start();
  driver.onEvent = handle;

  function finish(error: string | null): void {
    const call = joined;
    joined = null;
    if (limit) events.cancel(limit);
    limit = null;
    call?.(error);
  }

  function handle(event: WifiEvent): void {
    if (event.type === "SCAN_DONE") {
      const call = scanned;
      scanned = null;
      call?.(event.found);
    } else if (event.type === "STA_GOT_IP") {
      standing = true;
      finish(null);
    } else if (event.type === "STA_DISCONNECTED") {
      const was = standing;
      standing = false;
      if (was && !joined) lost();
      else if (joined && --tries > 0) driver.connect();
      else if (joined) finish(`reason ${event.reason}`);
    }
  }

  return {
    accessPointMac: () => node.accessPointMac,
    startAccessPoint: (_options, done) => void events.after(0, () => done("a laptop opens no access point")),
    stopAccessPoint() {},
    scan(done) {
      scanned = done;
      if (driver.startScan()) return;
      scanned = null;
      events.after(1000, () => done([]));
    },
    connect(ssid, password, done) {
      finish("given up for another network");
      driver.setStationConfig(ssid, password);
      tries = TRIES;
      joined = (error) => {
        if (error) done(error, null);
        else done(null, { ip: stack.stationAddress, gateway: stack.gateway });
      };
      limit = events.after(CONNECT_TIMEOUT_MS, () => {
        tries = 0;
        finish("timeout");
      });
      // A standing link or an attempt under way ends first; its end dials the new network.
      if (driver.link) driver.disconnect();
      else if (!driver.connect()) finish("the radio is off");
    },
    disconnect() {
      standing = false;
      finish("disconnected");
      driver.disconnect();
    },
    onLost(handler) {
      lost = handler;
    },
    onStationLeft() {},
    rssi: () => (driver.link ? Math.round(node.world.radio.propagation.rssi(driver.link.node, node)) : 0),
  };
}
