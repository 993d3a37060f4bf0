/** What a node is told of its site: its own part and no more. */
import type { Settings } from "../../firmware/node";
import type { SecuritySettings } from "../../firmware/ota/trust";
import type { BridgeSettings } from "../../firmware/status/bridge";
import { alertRules, ruleTexts } from "./alert-rules";
import { meshKeyOf, publicKeyOf } from "./keys";
import { secret } from "./load";
import type { Site, SiteNode } from "./schema";

function bridgeSettings(bridge: NonNullable<SiteNode["bridge"]>, env: NodeJS.ProcessEnv): BridgeSettings {
  const { password, commandKey, ...plain } = bridge;
  return {
    ...plain,
    ...(password === undefined ? {} : { password: secret(password, "bridge.password", env) }),
    ...(commandKey === undefined ? {} : { commandKey: secret(commandKey, "bridge.commandKey", env) }),
  };
}

/**
 * The node's settings file. The laptop's private key and other nodes' routers stay out.
 *
 * @param folder that the site's files are named from
 * @throws EspalierError SECRET_MISSING, KEY_FILE
 */
export function settingsFor(
  site: Site,
  node: SiteNode,
  env: NodeJS.ProcessEnv = process.env,
  folder: string = ".",
): Settings & SecuritySettings {
  const { mesh } = site;
  const publicKey = publicKeyOf(site, folder);
  const meshKey = meshKeyOf(site, folder, env);
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
    ...(node.dashboard
      ? {
          dashboard: {
            port: node.dashboard.port,
            ...(node.dashboard.token === undefined
              ? {}
              : { token: secret(node.dashboard.token, "dashboard.token", env) }),
          },
        }
      : {}),
    ...(publicKey === null ? {} : { publicKey: publicKey.toString("base64") }),
    ...(meshKey === null ? {} : { meshKey }),
    ...(node.bridge === undefined ? {} : { bridge: bridgeSettings(node.bridge, env) }),
    ...(node.alerts === undefined ? {} : { alerts: ruleTexts(alertRules(node.alerts)) }),
    ...(node.telemetrySeconds === undefined ? {} : { telemetrySeconds: node.telemetrySeconds }),
    ...(node.statusSeconds === undefined ? {} : { statusSeconds: node.statusSeconds }),
  };
}
