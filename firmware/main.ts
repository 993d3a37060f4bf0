/** The bundle's last module: starts the node after the application has said what it wants to hear. */
import { node } from "./app";

node.start();
