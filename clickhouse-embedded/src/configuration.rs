//! The generated ClickHouse configuration, fit for a small server that does other things too.

use crate::ClusterNode;
use std::path::Path;

/// The header that every query carries.
pub(crate) const SECRET_HEADER: &str = "X-Embedded-Secret";

/// What differs between two servers.
pub(crate) struct Configuration<'a> {
    /// Where ClickHouse keeps its data.
    pub(crate) data: &'a Path,
    /// Port of the HTTP interface; 0 lets the kernel choose.
    pub(crate) port: u16,
    /// Value of [`SECRET_HEADER`].
    pub(crate) secret: &'a str,
    /// Upper bound of the memory ClickHouse takes for all its work, in bytes.
    pub(crate) max_memory_bytes: u64,
    /// Its place in a cluster, where it has one.
    pub(crate) cluster_node: Option<&'a ClusterNode>,
}

impl Configuration<'_> {
    /// The configuration file's text.
    ///
    /// Every figure is below ClickHouse's own default, which is made for a machine of its own: caches that grow
    /// with the memory there is, and a thread pool for each kind of background work. System logs
    /// are off because none of them is configured. The free-entries figures must stay below
    /// pool size × 2, else ClickHouse refuses to start. Nothing is compiled at run time: that takes memory that was written and
    /// becomes executable, which a hardened service (systemd's `MemoryDenyWriteExecute`) is refused, so that every query which had run
    /// three times failed.
    pub(crate) fn xml(&self) -> String {
        let Self { port, secret, max_memory_bytes, .. } = self;
        let cluster = self.cluster_node.map(cluster).unwrap_or_default();
        let data = escape(&self.data.display().to_string());
        let one_query = max_memory_bytes / 4 * 3;
        let spill = max_memory_bytes / 4;
        format!(
            r"<clickhouse>
  <path>{data}/</path>
  <users_config>{data}/config.xml</users_config>
  <tmp_path>{data}/tmp/</tmp_path>
  <user_files_path>{data}/user_files/</user_files_path>
  <format_schema_path>{data}/format_schemas/</format_schema_path>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>{cluster}
  <http_handlers>
    <rule>
      <url>/ping</url><methods>GET,HEAD</methods>
      <handler><type>ping</type></handler>
    </rule>
    <rule>
      <headers><{SECRET_HEADER}>{secret}</{SECRET_HEADER}></headers>
      <handler><type>dynamic_query_handler</type><query_param_name>query</query_param_name></handler>
    </rule>
  </http_handlers>
  <backups><allowed_path>/</allowed_path></backups>
  <keep_alive_timeout>30</keep_alive_timeout>
  <max_server_memory_usage>{max_memory_bytes}</max_server_memory_usage>
  <max_concurrent_queries>100</max_concurrent_queries>
  <mark_cache_size>67108864</mark_cache_size>
  <primary_index_cache_size>67108864</primary_index_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <index_uncompressed_cache_size>0</index_uncompressed_cache_size>
  <mmap_cache_size>0</mmap_cache_size>
  <compiled_expression_cache_size>16777216</compiled_expression_cache_size>
  <query_cache><max_size_in_bytes>16777216</max_size_in_bytes></query_cache>
  <background_pool_size>2</background_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_buffer_flush_schedule_pool_size>1</background_buffer_flush_schedule_pool_size>
  <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
  <background_distributed_schedule_pool_size>1</background_distributed_schedule_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <tables_loader_foreground_pool_size>2</tables_loader_foreground_pool_size>
  <tables_loader_background_pool_size>2</tables_loader_background_pool_size>
  <merge_tree>
    <non_replicated_deduplication_window>1000</non_replicated_deduplication_window>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
  <profiles>
    <default>
      <max_memory_usage>{one_query}</max_memory_usage>
      <max_bytes_before_external_group_by>{spill}</max_bytes_before_external_group_by>
      <max_bytes_before_external_sort>{spill}</max_bytes_before_external_sort>
      <log_queries>0</log_queries>
      <compile_expressions>0</compile_expressions>
      <compile_aggregate_expressions>0</compile_aggregate_expressions>
      <compile_sort_description>0</compile_sort_description>
    </default>
  </profiles>
  <users>
    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
  </users>
  <quotas><default></default></quotas>
</clickhouse>
"
        )
    }
}

/// The native protocol's port, and where the other shards are.
fn cluster(node: &ClusterNode) -> String {
    let ClusterNode { cluster, tcp_port, shards } = node;
    let shard = |port: &u16| format!("<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>");
    let shards: String = shards.iter().map(shard).collect();
    format!("\n  <tcp_port>{tcp_port}</tcp_port>\n  <remote_servers><{cluster}>{shards}</{cluster}></remote_servers>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_compiled_at_run_time() {
        let data = Path::new("/data");
        let configuration = Configuration { data, port: 0, secret: "s", max_memory_bytes: 1 << 30, cluster_node: None };
        let xml = configuration.xml();
        for setting in ["compile_expressions", "compile_aggregate_expressions", "compile_sort_description"] {
            assert!(xml.contains(&format!("<{setting}>0</{setting}>")), "{setting} in {xml}");
        }
    }

    #[test]
    fn a_folder_name_cannot_break_out_of_its_element() {
        let folder = Path::new("/tmp/a<b>&c");
        let text = Configuration { data: folder, port: 0, secret: "s", max_memory_bytes: 1, cluster_node: None }.xml();
        assert!(text.contains("<path>/tmp/a&lt;b&gt;&amp;c/</path>"), "{text}");
    }
}
