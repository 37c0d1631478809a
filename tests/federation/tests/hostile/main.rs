//! One box of real processes, and everything bad that can be sent to it. Each refusal is looked at whole: its status, its
//! document, and that nothing was done or lost.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod bodies;
mod break_glass;
mod flood;
mod forged;
mod headers;
mod leases;
mod matrix;
mod once;
mod outage;
mod races;
mod sign_in;

use exarch_tests_federation::{suite, tests};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite::main(tests![
        sign_in::unknown_and_wrong_are_one_answer_that_takes_one_time,
        sign_in::a_second_setup_is_refused_and_makes_nobody,
        once::a_join_token_lets_one_gateway_in_and_then_tells_its_story,
        once::a_join_whose_answer_was_lost_is_answered_again_to_its_own_key,
        once::an_expired_join_token_and_a_wrong_curve_are_refused_by_name,
        once::a_gateway_that_has_joined_does_not_spend_another_regions_token,
        once::a_bootstrap_token_lets_one_agent_in_and_then_tells_its_story,
        once::a_bootstrap_token_that_is_over_taken_back_or_another_regions_lets_nobody_in,
        forged::what_the_global_did_not_sign_as_it_stands_is_401_at_the_global,
        forged::what_the_global_did_not_sign_as_it_stands_is_401_in_a_region,
        bodies::what_two_readers_could_understand_differently_is_refused_everywhere,
        bodies::addresses_that_cannot_be_read_are_refused,
        headers::overrides_and_forwarding_headers_change_nothing,
        headers::a_megabyte_of_dots_is_refused_at_once_and_kept_nowhere,
        headers::a_megabyte_of_dots_is_refused_on_the_inner_listeners_too,
        headers::credentials_that_come_twice_are_none,
        matrix::each_secret_is_good_at_its_own_verifier_and_nowhere_else,
        matrix::a_device_code_is_good_whole_and_as_it_is,
        break_glass::emergency_access_is_the_tenants_to_read_and_to_end_in_its_regions_too,
        leases::what_belongs_to_another_tenant_does_not_exist_for_an_agent,
        leases::who_comes_second_is_told_who_holds_it_and_how_long,
        leases::a_workload_whose_program_is_missing_fails_by_name_and_gives_its_lease_back,
        races::a_hundred_uses_of_one_refresh_token_make_one_pair,
        races::of_fifty_agents_with_one_token_one_gets_in,
        races::a_flood_of_wrong_passwords_is_bounded_and_starves_nobody,
        races::of_two_hundred_wrong_passwords_of_one_account_few_are_looked_at,
        flood::two_thousand_idle_sockets_delay_nobody_and_are_freed,
        outage::a_global_whose_database_is_killed_under_load_loses_nothing_and_comes_back_by_itself,
        outage::a_gateway_whose_database_is_killed_under_load_loses_nothing_and_comes_back_by_itself,
    ])
}
