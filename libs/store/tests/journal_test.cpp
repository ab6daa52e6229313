#include <algorithm>
#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <signal.h>
#include <sstream>
#include <sys/resource.h>
#include <thread>

#include <warpwright/store/journal.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::filesystem::path file_in(const TemporaryFolder& folder) { return folder.path() / Journal::file_name; }

Journal create_with_trials(const TemporaryFolder& folder, std::uint64_t count) {
  Journal journal = Journal::create(folder.path(), sample_header());
  for (std::uint64_t i = 0; i < count; ++i) journal.append(full_trial(i));
  return journal;
}

TEST(Journal, KeepsHeaderTrialsAndNotes) {
  const TemporaryFolder folder;
  {
    Journal journal = create_with_trials(folder, 3);
    journal.append_note("summary", text_of({{"best_ns", 1.5}}));
    journal.append_note("summary", text_of({{"best_ns", 1.25}}));
    journal.append_note("clock", text_of("steady"));
    journal.flush();
  }
  const JournalContents contents = Journal::read(folder.path());
  EXPECT_TRUE(header_differences(contents.header, sample_header()).empty());
  EXPECT_EQ(contents.header.device_id, "cuda:0");
  EXPECT_EQ(contents.header.seed, sample_header().seed);
  EXPECT_EQ(contents.header.details, sample_header().details);
  EXPECT_FALSE(contents.torn_last_line);
  ASSERT_EQ(contents.trials.size(), 3u);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(same(contents.trials[i], full_trial(i)));
  EXPECT_EQ(read_notes(folder.path()).text(), R"({"summary":{"best_ns":1.25},"clock":"steady"})");
}

// What was measured and later turned out to be wrong is wrong for whoever reads the journal.
TEST(Journal, ALaterRecordOfAConfigurationTakesThePlaceOfTheEarlierOne) {
  const TemporaryFolder folder;
  Trial changed = full_trial(1);
  changed.status = TrialStatus::timed_out;
  changed.message = "second verification at size n=100: no result";
  changed.samples.clear();
  changed.median.reset();
  {
    Journal journal = create_with_trials(folder, 3);
    journal.append(changed);
  }
  const JournalContents contents = Journal::read(folder.path());
  ASSERT_EQ(contents.trials.size(), 3u);
  EXPECT_TRUE(same(contents.trials[0], full_trial(0)));
  EXPECT_TRUE(same(contents.trials[1], changed));
  EXPECT_TRUE(same(contents.trials[2], full_trial(2)));
  EXPECT_EQ(Journal::resume(folder.path(), sample_header()).second.trials.size(), 3u);
}

TEST(Journal, IsReadableWhileItIsWritten) {
  const TemporaryFolder folder;
  Journal journal = create_with_trials(folder, 1);
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 1u);
  journal.append(full_trial(1));
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 2u);
}

TEST(Journal, CreatesTheFolder) {
  const TemporaryFolder folder;
  const auto deep = folder / "a" / "b";
  { Journal::create(deep, sample_header()); }
  EXPECT_TRUE(Journal::read(deep).trials.empty());
  EXPECT_EQ(read_notes(deep), JsonText("{}"));
}

TEST(Journal, DoesNotOverwriteASession) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 1); }
  EXPECT_THAT(error_of(ErrorCode::conflict, [&] { Journal::create(folder.path(), sample_header()); }),
              AllOf(HasSubstr("already holds a session"), HasSubstr(folder.path().string())));
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 1u);
}

TEST(Journal, DoesNotOverwriteAForeignFile) {
  const TemporaryFolder folder;
  for (const char* foreign : {"my notes", "my notes\n", "\n", "{\"type\":\"other"}) {
    write_text_file(file_in(folder), foreign);
    error_of(ErrorCode::conflict, [&] { Journal::create(folder.path(), sample_header()); });
    EXPECT_EQ(read_text_file(file_in(folder)), foreign);
    error_of(ErrorCode::corrupted, [&] { Journal::resume(folder.path(), sample_header()); });
    EXPECT_EQ(read_text_file(file_in(folder)), foreign);
  }
}

TEST(Journal, ReplacesAHeaderThatACrashCutOff) {
  for (const std::size_t length : {0, 1, 20, 40}) {
    const TemporaryFolder folder;
    { create_with_trials(folder, 0); }
    const std::string cut = read_text_file(file_in(folder)).substr(0, length);
    write_text_file(file_in(folder), cut);
    EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { Journal::read(folder.path()); }), HasSubstr("header line"));
    { create_with_trials(folder, 1); }
    EXPECT_EQ(Journal::read(folder.path()).trials.size(), 1u);

    write_text_file(file_in(folder), cut);
    {
      auto [journal, contents] = Journal::resume(folder.path(), sample_header());
      EXPECT_EQ(contents.torn_last_line, length > 0);
      EXPECT_TRUE(contents.trials.empty());
      EXPECT_EQ(contents.header.kernel, "gemm");
      journal.append(full_trial(0));
    }
    EXPECT_EQ(Journal::read(folder.path()).trials.size(), 1u);
  }
}

TEST(Journal, ResumesAndContinues) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 2); }
  {
    JournalHeader moved = sample_header();
    moved.device_id = "cuda:1";
    moved.details = JsonText();
    auto [journal, contents] = Journal::resume(folder.path(), moved);
    EXPECT_EQ(contents.trials.size(), 2u);
    EXPECT_FALSE(contents.torn_last_line);
    EXPECT_EQ(contents.header.device_id, "cuda:0") << "the header is the session's, not the caller's";
    journal.append(full_trial(2));
  }
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 3u);
}

// A line cut off at any byte is dropped, from the file as well, and nothing else is.
TEST(Journal, DropsATornLastLineWhereverItWasCut) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 2); }
  const std::string whole = read_text_file(file_in(folder));
  const std::size_t first_two_lines = whole.find('\n', whole.find('\n') + 1) + 1;
  for (std::size_t cut = first_two_lines; cut <= whole.size(); cut += (cut % 3) + 1) {
    write_text_file(file_in(folder), whole.substr(0, cut));
    const bool torn = cut != first_two_lines && cut != whole.size();
    const std::size_t kept = cut == whole.size() ? 2u : 1u;
    EXPECT_EQ(Journal::read(folder.path()).torn_last_line, torn);
    EXPECT_EQ(Journal::read(folder.path()).trials.size(), kept);
    auto [journal, contents] = Journal::resume(folder.path(), sample_header());
    EXPECT_EQ(contents.torn_last_line, torn);
    ASSERT_EQ(contents.trials.size(), kept);
    EXPECT_EQ(read_text_file(file_in(folder)), torn ? whole.substr(0, first_two_lines) : whole.substr(0, cut));
  }
}

TEST(Journal, ADamagedLineIsReportedAndTheOthersStay) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 3); }
  const std::string whole = read_text_file(file_in(folder));
  const std::size_t second_trial = whole.find("{\"type\":\"trial\",\"ordinal\":1");
  ASSERT_NE(second_trial, std::string::npos);
  const std::string where = file_in(folder).string() + ":3: ";
  const auto damage_of = [&](const std::string& text) {
    write_text_file(file_in(folder), text);
    const JournalContents contents = Journal::read(folder.path());
    EXPECT_EQ(contents.damage.size(), 1u);
    return contents.damage.empty() ? std::string() : contents.damage.front();
  };

  std::string damaged = whole;
  damaged[second_trial] = '!';
  EXPECT_THAT(damage_of(damaged), AllOf(HasSubstr(where), HasSubstr("checksum"), HasSubstr("left out")));
  {
    auto [journal, contents] = Journal::resume(folder.path(), sample_header());
    ASSERT_EQ(contents.trials.size(), 2u);
    EXPECT_TRUE(same(contents.trials[0], full_trial(0)));
    EXPECT_TRUE(same(contents.trials[1], full_trial(2)));
    ASSERT_EQ(contents.damage.size(), 1u);
    EXPECT_EQ(read_text_file(file_in(folder)), damaged) << "evidence is not touched";
    journal.append(full_trial(1));
  }
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 3u);

  // A digit of a measurement: valid JSON, a plausible trial, and not what was measured.
  damaged = whole;
  const std::size_t digit = damaged.find_first_of("0123456789", damaged.find("\"samples", second_trial));
  damaged[digit] = damaged[digit] == '1' ? '2' : '1';
  EXPECT_THAT(damage_of(damaged), AllOf(HasSubstr(where), HasSubstr("checksum")));

  // A whole line that is no JSON is damage even at the end: a torn write cannot end in a newline.
  EXPECT_THAT(damage_of(whole + "{\"type\":\"tri\n"), HasSubstr(":5: "));
  // The right form and the checksum of another line, or none.
  EXPECT_THAT(damage_of(whole + "{\"type\":\"telemetry\",\"watts\":300}\n"), HasSubstr("no checksum"));
  std::string altered = journal_line(text_of({{"type", "telemetry"}, {"watts", 300}}));
  altered.replace(altered.find("300"), 3, "301");
  EXPECT_THAT(damage_of(whole + altered), HasSubstr("checksum does not fit"));
  // A right checksum over something that is no trial: a writer's mistake, not the disk's.
  EXPECT_THAT(damage_of(whole + journal_line(text_of({{"type", "trial"}, {"0rdinal", 1}}))),
              HasSubstr("trial: key 'ordinal' is missing"));

  write_text_file(file_in(folder), whole + whole);
  EXPECT_THAT(error_of(ErrorCode::conflict, [&] { Journal::read(folder.path()); }),
              AllOf(HasSubstr(":5: "), HasSubstr("second header")));

  write_text_file(file_in(folder), whole.substr(whole.find('\n') + 1));
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { Journal::read(folder.path()); }), HasSubstr(":1: "));
  damaged = whole;
  damaged[damaged.find("seed") + 7] ^= 1;
  write_text_file(file_in(folder), damaged);
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { Journal::resume(folder.path(), sample_header()); }),
              AllOf(HasSubstr(":1: "), HasSubstr("checksum")));
}

// A journal that an earlier version wrote: no checksums, and whatever parses is believed.
TEST(Journal, ReadsAndContinuesAJournalWithoutChecksums) {
  const TemporaryFolder folder;
  JournalHeader old = sample_header();
  old.schema = 1;
  {
    Journal journal = Journal::create(folder.path(), old);
    for (std::uint64_t i = 0; i < 2; ++i) journal.append(full_trial(i));
  }
  std::string bare;
  std::istringstream lines(read_text_file(file_in(folder)));
  for (std::string line; std::getline(lines, line);) bare += line.substr(0, line.find(",\"check\":")) + "}\n";
  write_text_file(file_in(folder), bare);
  {
    auto [journal, contents] = Journal::resume(folder.path(), sample_header());
    EXPECT_EQ(contents.trials.size(), 2u);
    EXPECT_TRUE(contents.damage.empty());
    journal.append(full_trial(2));
  }
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 3u);
  // What has a checksum must fit it all the same.
  std::string text = read_text_file(file_in(folder));
  text[text.rfind("\"ordinal\":2") + 10] = '3';
  write_text_file(file_in(folder), text);
  EXPECT_EQ(Journal::read(folder.path()).damage.size(), 1u);
}

TEST(Journal, SkipsRecordsItDoesNotKnow) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 1); }
  write_text_file(file_in(folder),
                  read_text_file(file_in(folder)) + journal_line(text_of({{"type", "telemetry"}, {"watts", 300}})));
  const JournalContents contents = Journal::read(folder.path());
  EXPECT_EQ(contents.trials.size(), 1u);
  EXPECT_TRUE(contents.damage.empty());
}

// What must hold for a damaged journal: it is refused, or every trial is kept as it was or its line is reported.
void expect_kept_or_reported(const std::filesystem::path& folder, std::uint64_t trials) {
  JournalContents contents;
  try {
    contents = Journal::read(folder);
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::corrupted || error.code() == ErrorCode::unsupported ||
                error.code() == ErrorCode::conflict)
        << error.what();
    return;
  }
  std::set<std::uint64_t> kept;
  for (const Trial& trial : contents.trials) {
    ASSERT_LT(trial.ordinal, trials) << "a trial that never was";
    EXPECT_TRUE(same(trial, full_trial(trial.ordinal))) << "a trial that was something else";
    EXPECT_TRUE(kept.insert(trial.ordinal).second) << "a trial twice";
  }
  if (kept.size() < trials) {
    EXPECT_TRUE(contents.torn_last_line || !contents.damage.empty()) << "lost without a word";
  }
}

TEST(Journal, EveryTruncationKeepsWhatIsWhole) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 3); }
  const std::string whole = read_text_file(file_in(folder));
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    SCOPED_TRACE("cut to " + std::to_string(length) + " bytes");
    write_text_file(file_in(folder), whole.substr(0, length));
    const auto newlines = std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length), '\n');
    if (newlines == 0) {
      error_of(ErrorCode::corrupted, [&] { Journal::read(folder.path()); });
      continue;
    }
    const JournalContents contents = Journal::read(folder.path());
    ASSERT_EQ(contents.trials.size(), static_cast<std::size_t>(newlines - 1));
    for (const Trial& trial : contents.trials) ASSERT_TRUE(same(trial, full_trial(trial.ordinal)));
    ASSERT_EQ(contents.torn_last_line, length > 0 && whole[length - 1] != '\n');
    ASSERT_TRUE(contents.damage.empty());
  }
}

TEST(Journal, FlippedBitsNeverBecomeAMeasurement) {
  const TemporaryFolder folder;
  constexpr std::uint64_t trials = 4;
  { create_with_trials(folder, trials); }
  const std::string whole = read_text_file(file_in(folder));
  std::mt19937 random(4);
  const auto flip = [&](std::string& text) {
    const std::size_t at = std::uniform_int_distribution<std::size_t>(0, text.size() - 1)(random);
    text[at] = static_cast<char>(text[at] ^ (1 << std::uniform_int_distribution<int>(0, 7)(random)));
  };
  for (int round = 0; round < 3000 && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::string text = whole;
    for (int flips = 1 + round % 3; flips > 0; --flips) flip(text);
    if (text == whole) continue;
    write_text_file(file_in(folder), text);
    expect_kept_or_reported(folder.path(), trials);
  }
}

TEST(Journal, NamesWhatDiffers) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 1); }
  struct Case {
    void (*change)(JournalHeader&);
    const char* text;
  };
  const Case cases[] = {
      {[](JournalHeader& h) { h.kernel = "stencil"; }, "kernel (session: 'gemm'; now: 'stencil')"},
      {[](JournalHeader& h) {
         h.problem_hash = "ff";
         h.source_hash = "00";
       },
       "the source changed (the kernel, what it includes, its options or definitions; of a recorded device, the "
       "recording)"},
      {[](JournalHeader& h) {
         h.problem_hash = "ff";
         h.dimensions.set("width", std::int64_t{1000});
       },
       "problem dimension 'width' (session: 4096; now: 1000)"},
      {[](JournalHeader& h) { h.problem_hash = "ff"; },
       "problem (its parameters, constraints, arguments, launches, outputs, reference or metrics)"},
      {[](JournalHeader& h) { h.device = "Other"; }, "device (session: 'Widget 9000'; now: 'Other')"},
      {[](JournalHeader& h) { h.cache_mode = "warm"; }, "cache mode (session: 'cold'; now: 'warm')"},
      {[](JournalHeader& h) { h.toolkit = "NVRTC 13.1"; }, "compiler (session: 'NVRTC 13.0'; now: 'NVRTC 13.1')"},
      {[](JournalHeader& h) { h.strategy = "genetic"; }, "strategy (session: random; now: genetic)"},
      {[](JournalHeader& h) { h.seed = 7; }, "seed (session: 18446744073709551557; now: 7)"},
  };
  for (const Case& each : cases) {
    JournalHeader expected = sample_header();
    each.change(expected);
    EXPECT_EQ(header_differences(sample_header(), expected), std::vector<std::string>{each.text});
    const std::string message = error_of(ErrorCode::conflict, [&] { Journal::resume(folder.path(), expected); });
    EXPECT_THAT(message, AllOf(HasSubstr(each.text), HasSubstr(folder.path().string())));
  }
  JournalHeader all = sample_header();
  for (const Case& each : cases) each.change(all);
  EXPECT_THAT(header_differences(sample_header(), all),
              ::testing::ElementsAre(cases[0].text, cases[1].text, cases[2].text, cases[4].text, cases[5].text,
                                     cases[6].text, cases[7].text, cases[8].text));
}

TEST(Journal, DriverAndSamplingMayDifferAndAreTold) {
  const TemporaryFolder folder;
  { create_with_trials(folder, 1); }
  JournalHeader now = sample_header();
  now.driver = "590.1";
  now.sampling = text_of({{"min_samples", 7}, {"new", true}});
  EXPECT_EQ(Journal::resume(folder.path(), now).second.trials.size(), 1u);
  EXPECT_THAT(header_warnings(Journal::header(folder.path()).value(), now),
              ::testing::ElementsAre("driver (session: '580.65'; now: '590.1')", "min_samples (session: 5; now: 7)"));
}

// Earlier versions recorded less, and what is not known is not held against a journal.
TEST(Journal, ContinuesOneWhoseHeaderHasLess) {
  const TemporaryFolder folder;
  JournalHeader old = sample_header();
  old.source_hash = old.cache_mode = old.toolkit = old.driver = "";
  old.dimensions = {};
  old.sampling = JsonText();
  { Journal::create(folder.path(), old); }
  std::string text = read_text_file(file_in(folder));
  for (const char* key : {"source_hash", "cache_mode", "toolkit", "driver"}) {
    const std::string member = std::string("\"") + key + "\":\"\",";
    ASSERT_NE(text.find(member), std::string::npos) << text;
    text.erase(text.find(member), member.size());
  }
  for (const char* member : {"\"dimensions\":{},", "\"sampling\":null,"}) {
    ASSERT_NE(text.find(member), std::string::npos) << text;
    text.erase(text.find(member), std::string(member).size());
  }
  write_text_file(file_in(folder), journal_line(JsonText(text.substr(0, text.find(",\"check\":")) + "}")));
  EXPECT_TRUE(Journal::resume(folder.path(), sample_header()).second.trials.empty());
  EXPECT_TRUE(header_warnings(Journal::header(folder.path()).value(), sample_header()).empty());
  JournalHeader another = sample_header();
  another.problem_hash = "ff";
  EXPECT_THAT(error_of(ErrorCode::conflict, [&] { Journal::resume(folder.path(), another); }),
              HasSubstr("problem (session: 0123456789abcdef0123456789abcdef; now: ff)"));
}

TEST(Journal, AHeaderThatWasCutOffIsNone) {
  const TemporaryFolder folder;
  { Journal::create(folder.path(), sample_header()); }
  EXPECT_TRUE(Journal::header(folder.path()));
  const std::string text = read_text_file(file_in(folder));
  write_text_file(file_in(folder), text.substr(0, text.size() / 2));
  EXPECT_FALSE(Journal::header(folder.path()));
  EXPECT_TRUE(Journal::resume(folder.path(), sample_header()).second.trials.empty());
  EXPECT_TRUE(Journal::header(folder.path()));
}

TEST(Journal, RefusesANewerSchema) {
  const TemporaryFolder folder;
  JournalHeader newer = sample_header();
  newer.schema = 3;
  { Journal::create(folder.path(), newer); }
  EXPECT_THAT(error_of(ErrorCode::unsupported, [&] { Journal::resume(folder.path(), newer); }),
              AllOf(HasSubstr("schema 3"), HasSubstr("reads up to 2")));
}

TEST(Journal, ThereMustBeOne) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(ErrorCode::not_found, [&] { Journal::resume(folder.path(), sample_header()); }),
              HasSubstr("no session to resume"));
  error_of(ErrorCode::not_found, [&] { Journal::read(folder.path()); });
  error_of(ErrorCode::not_found, [&] { read_notes(folder.path()); });
}

TEST(Journal, HasOneWriter) {
  const TemporaryFolder folder;
  Journal journal = create_with_trials(folder, 1);
  EXPECT_THAT(error_of(ErrorCode::conflict, [&] { Journal::resume(folder.path(), sample_header()); }),
              HasSubstr("in use by another run"));
  EXPECT_THAT(error_of(ErrorCode::conflict, [&] { Journal::create(folder.path(), sample_header()); }),
              HasSubstr("in use by another run"));
  // The lock goes with the journal, not with the object that first held it.
  Journal moved = std::move(journal);
  error_of(ErrorCode::conflict, [&] { Journal::resume(folder.path(), sample_header()); });
  moved = Journal::create(folder / "other", sample_header());
  EXPECT_EQ(Journal::resume(folder.path(), sample_header()).second.trials.size(), 1u);
}

TEST(Journal, HasOneWriterAcrossProcesses) {
  const TemporaryFolder folder;
  Child child({"append", folder.path().string()});
  ASSERT_EQ(child.read_line(), "0");
  JournalHeader expected = Journal::read(folder.path()).header;
  error_of(ErrorCode::conflict, [&] { Journal::resume(folder.path(), expected); });
  child.kill();
  EXPECT_EQ(child.wait(), 128 + SIGKILL);
  EXPECT_GE(Journal::resume(folder.path(), expected).second.trials.size(), 1u) << "the lock ends with its process";
}

TEST(Journal, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/full", file_in(folder));
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { Journal::create(folder.path(), sample_header()); }),
              HasSubstr("no regular file"));
  write_text_file(folder / "plain", "x");
  EXPECT_THAT(error_of(ErrorCode::not_found, [&] { Journal::create(folder / "plain", sample_header()); }),
              HasSubstr((folder / "plain").string()));
}

// A size limit on files stands for the full disk: the write stops in the middle of a record.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : before_handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, before_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*before_handler_)(int);
};

TEST(Journal, AFullDiskLosesOnlyTheRecordInFlight) {
  const TemporaryFolder folder;
  Journal journal = create_with_trials(folder, 2);
  const std::string before = read_text_file(file_in(folder));
  std::string message;
  {
    const FileSizeLimit limit(before.size() + 100);
    message = error_of(ErrorCode::io, [&] { journal.append(full_trial(2)); });
    error_of(ErrorCode::io, [&] { journal.append_note("summary", text_of(std::string(200, 'x'))); });
  }
  EXPECT_THAT(message, AllOf(HasSubstr(file_in(folder).string()), HasSubstr("File too large")));
  EXPECT_EQ(read_text_file(file_in(folder)), before) << "no partial line is left";
  journal.append(full_trial(2));
  journal.flush();
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 3u);
}

TEST(Journal, AFullDiskAtTheStartIsAnError) {
  const TemporaryFolder folder;
  {
    const FileSizeLimit limit(10);
    error_of(ErrorCode::io, [&] { Journal::create(folder.path(), sample_header()); });
  }
  EXPECT_EQ(read_text_file(file_in(folder)), "");
  { create_with_trials(folder, 1); }
  EXPECT_EQ(Journal::read(folder.path()).trials.size(), 1u);
}

TEST(Journal, ThreadsAppendWithoutMixing) {
  const TemporaryFolder folder;
  constexpr std::uint64_t threads = 4, each = 50;
  {
    Journal journal = Journal::create(folder.path(), sample_header());
    std::vector<std::jthread> writers;
    for (std::uint64_t t = 0; t < threads; ++t) {
      writers.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < each; ++i) {
          journal.append(full_trial(t * each + i));
          if (i % 16 == 0) journal.flush();
        }
      });
    }
  }
  std::set<std::uint64_t> ordinals;
  for (const Trial& trial : Journal::read(folder.path()).trials) {
    EXPECT_TRUE(same(trial, full_trial(trial.ordinal)));
    ordinals.insert(trial.ordinal);
  }
  EXPECT_EQ(ordinals.size(), threads * each);
}

// Changing the list of a parameter's values leaves every recorded trial usable: trials say what they measured by value,
// not by position in the space.
TEST(Journal, TrialsAreFoundByValue) {
  const TemporaryFolder folder;
  {
    Journal journal = Journal::create(folder.path(), sample_header());
    for (const std::int64_t block : {32, 64, 128}) {
      Trial trial;
      trial.configuration = {{"block_x", block}};
      trial.median = Nanoseconds{static_cast<double>(block)};
      journal.append(trial);
    }
  }
  const JournalContents contents = Journal::read(folder.path());
  for (const std::int64_t block : {128, 32}) {  // 64 left the list, the others changed their places
    const auto found = std::find_if(contents.trials.begin(), contents.trials.end(), [&](const Trial& trial) {
      return trial.configuration == Configuration{{"block_x", block}};
    });
    ASSERT_NE(found, contents.trials.end());
    EXPECT_EQ(found->median, Nanoseconds{static_cast<double>(block)});
  }
}

// SIGKILL at any moment: everything reported as appended is there, and nothing is damaged.
TEST(Journal, SurvivesBeingKilledFiftyTimes) {
  std::mt19937 random(20261122);
  std::uint64_t total = 0;
  int torn = 0;
  for (int session = 0; session < 5; ++session) {
    const TemporaryFolder folder;
    std::uint64_t reported = 0;
    for (int round = 0; round < 10; ++round) {
      SCOPED_TRACE("session " + std::to_string(session) + ", round " + std::to_string(round));
      Child child({"append", folder.path().string()});
      // The child writes on while we read, so the kill comes anywhere in a later record. Now and then at once: in the
      // start, the reading back or the header.
      for (auto left = std::uniform_int_distribution<int>(0, 20)(random); left > 0; --left) {
        const std::string line = child.read_line();
        ASSERT_FALSE(line.empty()) << "the helper failed";
        ASSERT_EQ(std::stoull(line), reported);
        ++reported;
      }
      for (auto spin = std::uniform_int_distribution<int>(0, 20000)(random); spin > 0; --spin)
        std::atomic_signal_fence(std::memory_order_seq_cst);
      child.kill();
      ASSERT_EQ(child.wait(), 128 + SIGKILL);
      for (std::string line = child.read_line(); !line.empty(); line = child.read_line())
        reported = std::stoull(line) + 1;
      if (reported == 0 && read_text_file(file_in(folder)).find('\n') == std::string::npos) continue;  // no header yet
      const JournalContents contents = Journal::read(folder.path());
      torn += contents.torn_last_line ? 1 : 0;
      ASSERT_GE(contents.trials.size(), reported);
      ASSERT_LE(contents.trials.size(), reported + 1) << "only the record in flight may be there unreported";
      for (std::size_t i = 0; i < contents.trials.size(); ++i) ASSERT_EQ(contents.trials[i].ordinal, i);
      reported = contents.trials.size();
    }
    total += reported;
  }
  EXPECT_GT(total, 100u);
  RecordProperty("torn_lines", torn);
}

}  // namespace
}  // namespace warpwright::store::test
