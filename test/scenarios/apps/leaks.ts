/** An update gone wrong: keeps everything it reads. */
import { node } from "espalier";

const kept: string[] = [];

node.onReady(function () {
  node.every(10000, function () {
    kept.push("reading number " + kept.length + ", which nobody will ever look at again");
  });
});
