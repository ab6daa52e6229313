// What problems with stages, scratch, conditions and so on have on their way to workers, and that problems without them
// are written as they always were: their text is hashed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include <warpwright/store/json.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

using ::testing::HasSubstr;

Json through_text(const Json& json) { return Json::parse(json.dump()); }

Problem staged_problem() {
  const auto expression = [](std::string_view text) { return Expression::parse(text); };
  Problem problem = full_problem();
  Stage force, shared;
  force.name = "force";
  force.source.dialect = SourceText{"force.kernel", "KERNEL void step() {}"};
  force.options = {{"opencl", {"-cl-mad-enable"}}};
  force.defines = {{"ROWS", expression("width // 2")}};
  force.parameters = {"block_x"};
  shared.name = "shared";
  problem.stages = {force, shared};
  problem.launches[0].stage = "force";
  problem.launches[0].when = expression("layout == 'row'");
  problem.launches[1].stage = "shared";
  problem.outputs[0].first = expression("2");
  problem.outputs[0].count = expression("width // 4");
  problem.outputs[0].by_sum = true;
  Argument scratch;
  scratch.name = "scratch";
  scratch.access = Access::scratch;
  scratch.size = expression("block_x");
  scratch.restored = true;
  scratch.type_parameter = "layout";
  Argument local;
  local.name = "local";
  local.access = Access::local;
  local.size = expression("repeat + 1");
  Argument structure;
  structure.name = "shape";
  structure.access = Access::scalar;
  structure.fields = {{"width", DataType::int32, 1, expression("width"), {}},
                      {"", DataType::float32, 2, expression("[1, 2]"), 8}};
  problem.arguments.insert(problem.arguments.end(), {scratch, local, structure});
  std::get<FillUniform>(problem.arguments[0].fill).bounds = {expression("0"), expression("width")};
  std::get<FillUniform>(problem.arguments[0].fill).order = FillOrder::descending;
  problem.arguments[1].fill = FillRaw{"coeff.bin"};
  return problem;
}

TEST(ProblemJson, StagesAndWhatComesWithThemRoundTrip) {
  const Problem before = staged_problem();
  const Problem after = problem_from_json(through_text(to_json(before)));
  ASSERT_EQ(after.stages.size(), 2u);
  EXPECT_EQ(after.stages[0].name, "force");
  EXPECT_EQ(after.stages[0].source.dialect->text, "KERNEL void step() {}");
  EXPECT_EQ(after.stages[0].options, before.stages[0].options);
  EXPECT_EQ(after.stages[0].defines.at(0).second.text(), "width // 2");
  EXPECT_EQ(after.stages[0].parameters, std::vector<std::string>{"block_x"});
  EXPECT_FALSE(after.stages[1].parameters.has_value());
  EXPECT_EQ(after.launches[0].stage, "force");
  EXPECT_EQ(after.launches[0].when->text(), "layout == 'row'");
  EXPECT_FALSE(after.launches[1].when.has_value());
  EXPECT_EQ(after.outputs[0].first->text(), "2");
  EXPECT_EQ(after.outputs[0].count->text(), "width // 4");
  EXPECT_TRUE(after.outputs[0].by_sum);
  EXPECT_EQ(after.arguments[5].access, Access::scratch);
  EXPECT_TRUE(after.arguments[5].restored);
  EXPECT_EQ(after.arguments[5].type_parameter, "layout");
  EXPECT_EQ(after.arguments[6].access, Access::local);
  ASSERT_EQ(after.arguments[7].fields.size(), 2u);
  EXPECT_EQ(after.arguments[7].fields[1].offset, 8);
  EXPECT_EQ(after.arguments[7].fields[1].components, 2);
  const auto& uniform = std::get<FillUniform>(after.arguments[0].fill);
  EXPECT_EQ(uniform.bounds.at(1).text(), "width");
  EXPECT_EQ(uniform.order, FillOrder::descending);
  EXPECT_EQ(std::get<FillRaw>(after.arguments[1].fill).file, "coeff.bin");
  EXPECT_EQ(to_json(after), to_json(before));

  Problem with_formula = before;
  with_formula.arguments[1].fill = FillFormula{Expression::parse("index % width"), Expression::parse("width")};
  const Problem formula_after = problem_from_json(through_text(to_json(with_formula)));
  EXPECT_EQ(std::get<FillFormula>(formula_after.arguments[1].fill).formula.text(), "index % width");
  EXPECT_EQ(std::get<FillFormula>(formula_after.arguments[1].fill).row_length->text(), "width");
}

TEST(ProblemJson, ProblemsOfOneSourceAreWrittenAsBeforeThereWereStages) {
  const Json json = to_json(full_problem());
  const auto keys = [](const Json& object) {
    std::set<std::string> names;
    for (const auto& [name, value] : object.items()) names.insert(name);
    return names;
  };
  EXPECT_EQ(keys(json),
            (std::set<std::string>{"name", "file", "source", "options", "include_folders", "defines", "dimensions",
                                   "device_dimensions", "parameters", "constraints", "arguments", "launches", "outputs",
                                   "reference", "baseline", "objective", "metrics", "verify_sizes", "warnings"}));
  EXPECT_EQ(keys(json.at("arguments").at(2)),
            (std::set<std::string>{"name", "type", "components", "access", "size", "fill", "symbol"}));
  EXPECT_EQ(keys(json.at("arguments").at(0).at("fill")), (std::set<std::string>{"kind", "low", "high", "seed"}));
  EXPECT_EQ(keys(json.at("launches").at(1)),
            (std::set<std::string>{"entry", "block", "grid", "args", "swap", "cooperative", "cluster"}));
  EXPECT_EQ(keys(json.at("outputs").at(0)), (std::set<std::string>{"argument", "rtol", "atol", "ulp", "normwise"}));
}

TEST(ProblemJson, ImagesAndSamplersRoundTrip) {
  Problem before = full_problem();
  Argument image;
  image.name = "picture";
  image.type = DataType::uint8;
  image.components = 4;
  image.image = ImageArgument{Expression::parse("width + 1"), Expression::parse("2"), true};
  image.size = image_pixels(image.image->width, image.image->height);
  Argument sampler;
  sampler.name = "look";
  sampler.access = Access::scalar;
  sampler.sampler = SamplerSettings{ImageAddressing::mirrored_repeat, ImageFilter::linear, true};
  before.arguments.insert(before.arguments.end(), {image, sampler});
  const Problem after = problem_from_json(through_text(to_json(before)));
  const Argument& picture = *after.find_argument("picture");
  ASSERT_TRUE(picture.image);
  EXPECT_EQ(picture.image_format(), image.image_format());
  EXPECT_EQ(picture.image->width.text(), "width + 1");
  EXPECT_EQ(picture.image->height.text(), "2");
  EXPECT_EQ(picture.size->text(), image.size->text());
  EXPECT_EQ(after.find_argument("look")->sampler, sampler.sampler);
  EXPECT_EQ(to_json(after), to_json(before));
  Json json = to_json(before);
  json["arguments"].back()["sampler"]["filter"] = "cubic";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { problem_from_json(json); }), HasSubstr("filter"));
}

TEST(DeviceJson, ImagesAreToldWhereThereAreAny) {
  DeviceInfo device;
  device.id = DeviceId::parse("opencl:0:0");
  EXPECT_FALSE(to_json(device).contains("max_image"));
  EXPECT_FALSE(device_from_json(through_text(to_json(device))).offers_images());
  device.max_image = {8192, 4096};
  EXPECT_EQ(device_from_json(through_text(to_json(device))).max_image, device.max_image);
  Json json = to_json(device);
  json["max_image"] = Json::array({1, 2, 3});
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { device_from_json(json); }), HasSubstr("an array of 2 integers"));
}

TEST(BinaryJson, ImagesAndSamplersAreParametersToo) {
  using Kind = KernelParameter::Kind;
  Binary binary;
  binary.backend = "opencl";
  binary.parameters["f"] = {{Kind::image, "read_only image2d_t in", {}, 1, {}},
                            {Kind::sampler, "sampler_t look", {}, 1, {}},
                            {Kind::image, "write_only image2d_t out", {}, 1, {}, true}};
  const Binary after = binary_from_json(through_text(to_json(binary)), "");
  const auto& parameters = after.parameters.at("f");
  ASSERT_EQ(parameters.size(), 3u);
  EXPECT_EQ(parameters[0].kind, Kind::image);
  EXPECT_FALSE(parameters[0].writable);
  EXPECT_EQ(parameters[1].kind, Kind::sampler);
  EXPECT_TRUE(parameters[2].writable);
}

TEST(ProblemJson, AFillWithAWrongNumberOfBoundsIsRefused) {
  Json json = to_json(staged_problem());
  json["arguments"][0]["fill"]["bounds"] = Json::array({"width"});
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { problem_from_json(json); }),
              HasSubstr("a fill has 1 bounds, it needs 2"));
}

TEST(TrialJson, LaunchTimesRoundTripAndAreAbsentOtherwise) {
  Trial trial;
  EXPECT_FALSE(to_json(trial).contains("launch_times"));
  trial.launch_times = {{"force/step", 10, Nanoseconds{1234.5}}, {"add", 1, Nanoseconds{7}}};
  const Trial after = trial_from_json(through_text(to_json(trial)));
  ASSERT_EQ(after.launch_times.size(), 2u);
  EXPECT_EQ(after.launch_times[0].entry, "force/step");
  EXPECT_EQ(after.launch_times[0].launches, 10);
  EXPECT_EQ(after.launch_times[0].time, Nanoseconds{1234.5});
}

}  // namespace
}  // namespace warpwright::store::test
