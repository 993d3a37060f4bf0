/** What `require("Wifi")`, `require("net")` and `require("dgram")` give on a virtual chip. */
import type { NetModules, NetPort } from "../chip/seam";
import type { WorldNode } from "../world-node";
import { createSocketModules } from "./net-module";
import { createWifiModule } from "./wifi-module";

export interface WorldNetModules extends NetModules {
  /** The life is over. With a farewell (a restart by software) access point and stations hear of it at once. */
  down(farewell?: boolean): void;
}

/** Modules for one life of a chip at `node`, which must be powered up. */
export function createNetModules(port: NetPort, node: WorldNode): WorldNetModules {
  const { driver, stack } = node;
  return {
    Wifi: createWifiModule(port, node),
    ...createSocketModules(port, stack),
    down(farewell = false) {
      // A later life of the same board must not be ended by the memory of this one.
      if (node.driver === driver) node.powerDown(farewell);
    },
  };
}
