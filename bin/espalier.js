#!/usr/bin/env node
"use strict";
require("tsx/cjs");
require("../host-tools/cli.ts");
