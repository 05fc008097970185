// @huggingface/inference as it comes: node classify.mjs ENDPOINT; prints what it is given as JSON.
import { textClassification, InferenceClient } from "@huggingface/inference";

const endpointUrl = process.argv[2];
const result = {};
result.one = await textClassification({ endpointUrl, inputs: "A lovely, moving film." });
result.best = await textClassification({
  endpointUrl,
  inputs: "A dull and pointless mess.",
  parameters: { top_k: 1, function_to_apply: "none" },
});
result.client = await new InferenceClient(undefined, { endpointUrl }).textClassification({
  inputs: "A lovely, moving film.",
});
try {
  await textClassification({ endpointUrl, inputs: "" });
} catch (error) {
  result.error = error.message;
}
console.log(JSON.stringify(result, null, 1));
