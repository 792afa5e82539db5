// Looker's client for Node follows a query task: node node_client.mjs BASE_URL, where @looker/sdk
// and @looker/sdk-node are installed.

import { strict as assert } from "node:assert";
import { DelimArray } from "@looker/sdk-rtl";
import { LookerNodeSDK, NodeSettings } from "@looker/sdk-node";

class Settings extends NodeSettings {
  constructor(baseUrl) {
    super("", { base_url: baseUrl, verify_ssl: "false", timeout: "20" });
  }

  readConfig() {
    return { client_id: "simulator", client_secret: "simulator" };
  }
}

const looker = LookerNodeSDK.init40(new Settings(process.argv[2]));

assert.equal((await looker.ok(looker.me())).display_name, "Simulator");
const query = await looker.ok(
  looker.create_query({
    model: "flights_2013",
    view: "flights",
    fields: ["flights.origin", "flights.count"],
    filters: { "flights.carrier": "UA" },
    sorts: ["flights.count desc"],
  }),
);
assert.equal((await looker.ok(looker.query(query.id))).view, "flights");
const task = await looker.ok(
  looker.create_query_task({ body: { query_id: query.id, result_format: "json_detail" } }),
);
let entry = { status: "added" };
while (["added", "running"].includes(entry.status)) {
  entry = (await looker.ok(looker.query_task_multi_results(new DelimArray([task.id]))))[task.id];
}
assert.equal(entry.status, "complete");
assert.deepEqual(
  entry.data.data.map((row) => row["flights.count"].value),
  [46087, 8044, 4534],
);
assert.equal((await looker.ok(looker.query_task(task.id))).status, "complete");
assert.equal((await looker.ok(looker.run_inline_query({ result_format: "json", body: query }))).length, 3);
assert.equal((await looker.ok(looker.run_query({ query_id: "4", result_format: "json" }))).length, 67);
assert.match(await looker.ok(looker.run_look({ look_id: "2", result_format: "csv" })), /Telluride/);
assert.equal((await looker.ok(looker.look("1"))).query_id, "1");
const dashboard = await looker.ok(looker.dashboard("2"));
assert.equal(dashboard.dashboard_filters[0].default_value, "CA");
assert.equal((await looker.ok(looker.dashboard_dashboard_elements("2"))).length, 8);
assert.equal((await looker.ok(looker.dashboard_dashboard_filters("2"))).length, 3);
assert.equal((await looker.ok(looker.all_lookml_models({}))).length, 3);
const explore = await looker.ok(
  looker.lookml_model_explore({
    lookml_model_name: "shop",
    explore_name: "orders",
    fields: "fields(parameters(name))",
  }),
);
assert.deepEqual(explore, { fields: { parameters: [{ name: "orders.unit" }] } });
assert.deepEqual(await looker.ok(looker.all_running_queries()), []);
await assert.rejects(looker.ok(looker.kill_query(task.id)));
await assert.rejects(looker.ok(looker.query("999")), /Not found/);
await looker.authSession.logout();
console.log("passed");
