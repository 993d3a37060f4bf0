/** What a node is told of its site: its own part and no more. */
import type { Settings } from "../../firmware/node";
import { secret } from "./load";
import type { Site, SiteNode } from "./schema";

/** The node's settings file. Keys of the laptop and other nodes' routers stay out. @throws EspalierError SECRET_MISSING */
export function settingsFor(site: Site, node: SiteNode, env: NodeJS.ProcessEnv = process.env): Settings {
  const { mesh } = site;
  return {
    mesh: {
      meshName: mesh.name,
      ...(mesh.ssid === undefined ? {} : { ssid: mesh.ssid }),
      password: secret(mesh.password, "mesh.password", env),
      port: mesh.port,
      channel: mesh.channel,
      ...(node.root ? { root: true } : {}),
      ...(node.leaf ? { leaf: true } : {}),
      ...(node.station
        ? { station: { ssid: node.station.ssid, password: secret(node.station.password, "station.password", env) } }
        : {}),
    },
    role: node.role,
    ...(node.telemetrySeconds === undefined ? {} : { telemetrySeconds: node.telemetrySeconds }),
  };
}
