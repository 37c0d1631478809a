import { isStaff, useMe } from '../api/me';
import { Federation } from './Federation';
import { MyRegions } from './MyRegions';

/** The regions of the tenant in force; for staff also the federation, and that alone for staff without any tenant. */
export function RegionsPage() {
  const me = useMe();
  const staff = isStaff(me);
  const member = me.tenants.length > 0 || !staff;
  return (
    <div className="space-y-8">
      <title>{me.tenant ? `Regions · ${me.tenant.name} · Exarch` : 'Regions · Exarch'}</title>
      {member && <MyRegions />}
      {staff && <Federation level={member ? 2 : 1} />}
    </div>
  );
}
